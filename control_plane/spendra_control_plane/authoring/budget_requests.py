"""Asking for a larger budget: whoever sees it may ask, whoever writes budgets decides, once."""

from typing import Any, Literal

from spendra_control_plane.access.callers import Caller, Seen, require_covers
from spendra_control_plane.authoring import budgets
from spendra_control_plane.authoring.amounts import amount
from spendra_control_plane.authoring.organizations import new_id
from spendra_control_plane.authoring.refusals import Refusal, refuse_conflict, refuse_missing
from spendra_control_plane.notices import outbox
from spendra_control_plane.snapshots.publish import Publisher
from spendra_control_plane.stores.postgres import Connection, Pool, Row, UniqueViolation
from spendra_control_plane.stores.sql import statements

SQL = statements("budget_requests")
State = Literal["waiting", "approved", "denied", "withdrawn", "expired"]


async def ask(
    pool: Pool,
    seen: Seen,
    asked_by: str,
    budget_id: str,
    limit_nanousd: int,
    reason: str,
    lasts_s: int,
) -> dict[str, Any]:
    """One of an asker waits at a time. Told to whoever subscribed to it."""
    request_id = new_id("brq")
    async with pool.acquire() as connection, connection.transaction():
        budget = await budgets.read_seen(connection, seen, budget_id)
        if budget["state"] != "active":
            refuse_conflict(f"The budget {budget_id!r} is closed.")
        if limit_nanousd <= budget["limit_nanousd"]:
            refuse_conflict("The budget has that much already; ask for more.")
        await connection.execute(SQL["forget_expired"], seen.org_id, budget_id, asked_by)
        try:
            await connection.execute(
                SQL["insert"], seen.org_id, request_id, budget_id, limit_nanousd, reason, asked_by,
                lasts_s,
            )  # fmt: skip
        except UniqueViolation:
            raise Refusal("conflict", "A request of yours for it waits already.") from None
        row = await _read(connection, seen.org_id, request_id)
        await outbox.raise_once(
            connection, seen.org_id, "budget.requested", subject=budget_id, period=request_id,
            facts=_facts(row), budget_id=budget_id,
        )  # fmt: skip
    return _view(row)


async def decide(
    publisher: Publisher,
    caller: Caller,
    request_id: str,
    decision: Literal["approved", "denied"],
    note: str,
) -> dict[str, Any]:
    """Approval raises the limit in the same transaction. Nobody decides what they asked for."""
    async with publisher.change(caller.org_id) as change:
        connection, org_id = change.connection, caller.org_id
        await connection.fetchrow(SQL["lock"], org_id, request_id)
        row = await _read(connection, org_id, request_id)
        if row["state"] != "waiting":
            refuse_conflict(f"The request is {row['state']}; there is nothing to decide.")
        if caller.member_id is not None and row["asked_by"] == caller.actor:
            raise Refusal("not_allowed", "You asked for it yourself; somebody else has to decide.")
        if decision == "approved" and row["limit_nanousd"] <= row["limit_now_nanousd"]:
            refuse_conflict("The budget has that much by now; deny the request.")
        if decision == "approved":
            edits = {"limit_nanousd": row["limit_nanousd"]}
            await budgets.apply(change, row["budget_id"], edits)
        await connection.execute(
            SQL["decide"], org_id, request_id, decision, caller.actor, note or None
        )
        return _view(await _read(connection, org_id, request_id))


async def withdraw(pool: Pool, seen: Seen, caller: Caller, request_id: str) -> dict[str, Any]:
    """By whoever asked."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.fetchrow(SQL["lock"], seen.org_id, request_id)
        row = await _read_seen(connection, seen, request_id)
        if row["asked_by"] != caller.actor:
            raise Refusal("not_allowed", f"It was asked for by {row['asked_by']}.")
        if row["state"] != "waiting":
            refuse_conflict(f"The request is {row['state']}; there is nothing to withdraw.")
        decided = ("withdrawn", caller.actor, None)
        await connection.execute(SQL["decide"], seen.org_id, request_id, *decided)
        return _view(await _read(connection, seen.org_id, request_id))


async def get(pool: Pool, seen: Seen, request_id: str) -> dict[str, Any]:
    async with pool.acquire() as connection:
        return _view(await _read_seen(connection, seen, request_id))


async def page(
    pool: Pool, seen: Seen, state: State | None, after: str, limit: int
) -> list[dict[str, Any]]:
    rows = await pool.fetch(SQL["page"], seen.org_id, state, after, limit, seen.reach)
    return [_view(row) for row in rows]


async def _read(connection: Connection, org_id: str, request_id: str) -> Row:
    row = await connection.fetchrow(SQL["get"], org_id, request_id)
    if row is None:
        refuse_missing("budget request", request_id)
    return row


async def _read_seen(connection: Connection, seen: Seen, request_id: str) -> Row:
    row = await _read(connection, seen.org_id, request_id)
    await require_covers(connection, seen, row["selector"], ("budget request", request_id))
    return row


def _facts(row: Row) -> dict[str, Any]:
    return {
        "name": row["budget"],
        "limit_nanousd": row["limit_now_nanousd"],
        "wanted_nanousd": row["limit_nanousd"],
        "asked_by": row["asked_by"],
        "reason": row["reason"],
    }


def _view(row: Row) -> dict[str, Any]:
    hidden = {"org_id", "selector", "limit_nanousd", "limit_now_nanousd"}
    columns = {name: value for name, value in row.items() if name not in hidden}
    return {
        **columns,
        **amount("limit", row["limit_nanousd"]),
        **amount("limit_now", row["limit_now_nanousd"]),
    }
