"""Requests that a policy wants somebody to look at: approved for one time, or denied."""

from typing import Any, Literal

from spendra_control_plane.access.callers import Caller, Seen
from spendra_control_plane.authoring.amounts import amount
from spendra_control_plane.authoring.refusals import Refusal, refuse_conflict, refuse_missing
from spendra_control_plane.stores.postgres import Connection, Pool, Row
from spendra_control_plane.stores.sql import statements

SQL = statements("reviews")
State = Literal["waiting", "approved", "denied", "used", "expired"]


async def decide(
    pool: Pool,
    seen: Seen,
    caller: Caller,
    request_id: str,
    decision: Literal["approved", "denied"],
    note: str,
    lasts_s: int,
) -> dict[str, Any]:
    """Good for `lasts_s`. Nobody decides about a request of their own."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.fetchrow(SQL["lock"], seen.org_id, request_id)
        row = await _read(connection, seen, request_id)
        if row["state"] != "waiting":
            refuse_conflict(f"The request is {row['state']}; there is nothing to decide.")
        if caller.person is not None and caller.person in row["facts"].get("person", []):
            raise Refusal("not_allowed", "It is a request of yours; somebody else has to decide.")
        await connection.execute(
            SQL["decide"], seen.org_id, request_id, decision, caller.actor, note or None, lasts_s
        )
        return _view(await _read(connection, seen, request_id))


async def get(pool: Pool, seen: Seen, request_id: str) -> dict[str, Any]:
    async with pool.acquire() as connection:
        return _view(await _read(connection, seen, request_id))


async def page(
    pool: Pool, seen: Seen, state: State | None, after: str, limit: int
) -> list[dict[str, Any]]:
    rows = await pool.fetch(SQL["page"], seen.org_id, state, after, limit, seen.reach)
    return [_view(row) for row in rows]


async def _read(connection: Connection, seen: Seen, request_id: str) -> Row:
    row = await connection.fetchrow(SQL["get"], seen.org_id, request_id, seen.reach)
    if row is None:
        refuse_missing("review", request_id)
    return row


def _view(row: Row) -> dict[str, Any]:
    hidden = {"org_id", "amount_nanousd", "decision", "facts"}
    columns = {name: value for name, value in row.items() if name not in hidden}
    return {**columns, "scope": row["facts"], **amount("amount", row["amount_nanousd"])}
