"""Budgets: an amount for a selector in each window of a period."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from spendra.snapshot import Selector
from spendra_control_plane.access.callers import Seen, require_covers
from spendra_control_plane.authoring import editions
from spendra_control_plane.authoring.amounts import amount
from spendra_control_plane.authoring.organizations import new_id
from spendra_control_plane.authoring.refusals import refuse_conflict, refuse_missing
from spendra_control_plane.snapshots.publish import Change, Publisher
from spendra_control_plane.stores.postgres import Connection, Pool, Row
from spendra_control_plane.stores.sql import statements

SQL = statements("budgets")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """`starts_at` and `ends_at` belong to a `fixed` period. `alert_at_percent`: of the limit."""

    name: str
    selector: Selector
    period: str
    timezone: str
    starts_at: datetime | None
    ends_at: datetime | None
    limit_nanousd: int
    kind: str
    open_up_to_nanousd: int
    alert_at_percent: list[int]


async def create(publisher: Publisher, org_id: str, draft: Draft) -> dict[str, Any]:
    """A new hard budget takes something away: it bites from the next decision on."""
    async with publisher.change(org_id) as change:
        budget_id = await insert(change, draft)
        return _view(await read(change.connection, org_id, budget_id))


async def insert(change: Change, draft: Draft) -> str:
    """As `create`, within a change that is under way; its id."""
    budget_id = new_id("bud")
    change.restricts |= draft.kind == "hard"
    await change.connection.execute(SQL["insert"], change.org_id, budget_id, *_columns(draft))
    return budget_id


async def edit(
    publisher: Publisher,
    org_id: str,
    budget_id: str,
    edits: Mapping[str, object],
    if_match: str | None = None,
) -> dict[str, Any]:
    """`edits` may hold `name`, `limit_nanousd`, `kind`, `open_up_to_nanousd`, `alert_at_percent`.

    Holds are left as they are.
    """
    async with publisher.change(org_id) as change:
        return await apply(change, budget_id, edits, if_match)


async def apply(
    change: Change, budget_id: str, edits: Mapping[str, object], if_match: str | None = None
) -> dict[str, Any]:
    """As `edit`, within a change that is under way."""
    org_id = change.org_id
    old = await _read_open(change.connection, org_id, budget_id, if_match)
    new = {**old, **edits}
    if new["kind"] == "soft" and new["open_up_to_nanousd"]:
        refuse_conflict("A soft budget refuses nothing; set its 'open_up_to_usd' to 0.")
    await change.connection.execute(
        SQL["edit"], org_id, budget_id, new["name"], new["limit_nanousd"], new["kind"],
        new["open_up_to_nanousd"], new["alert_at_percent"],
    )  # fmt: skip
    change.restricts |= _takes_away(old, new)
    return _view(await read(change.connection, org_id, budget_id))


async def close(
    publisher: Publisher, org_id: str, budget_id: str, if_match: str | None = None
) -> dict[str, Any]:
    """It stops counting; its history stays."""
    async with publisher.change(org_id) as change:
        await _read_open(change.connection, org_id, budget_id, if_match)
        await shut(change, budget_id)
        return _view(await read(change.connection, org_id, budget_id))


async def shut(change: Change, budget_id: str) -> None:
    """As `close`, of one that is open, within a change that is under way."""
    await change.connection.execute(SQL["close"], change.org_id, budget_id)


async def get(pool: Pool, seen: Seen, budget_id: str) -> dict[str, Any]:
    async with pool.acquire() as connection:
        return _view(await read_seen(connection, seen, budget_id))


async def page(
    pool: Pool, seen: Seen, state: str | None, after: str, limit: int
) -> list[dict[str, Any]]:
    rows = await pool.fetch(SQL["page"], seen.org_id, state, after, limit, seen.reach)
    return [_view(row) for row in rows]


async def read_seen(connection: Connection, seen: Seen, budget_id: str) -> Row:
    """As `read`, for a caller who may see only some."""
    row = await read(connection, seen.org_id, budget_id)
    await require_covers(connection, seen, row["selector"], ("budget", budget_id))
    return row


async def read(connection: Connection, org_id: str, budget_id: str) -> Row:
    """Raises Refusal when there is none of that id."""
    row = await connection.fetchrow(SQL["get"], org_id, budget_id)
    if row is None:
        refuse_missing("budget", budget_id)
    return row


async def _read_open(
    connection: Connection, org_id: str, budget_id: str, if_match: str | None
) -> Row:
    row = await read(connection, org_id, budget_id)
    if row["state"] == "closed":
        refuse_conflict(f"The budget {budget_id!r} is closed; create a new one.")
    editions.check(if_match, _view(row))
    return row


def _takes_away(old: Row, new: Mapping[str, Any]) -> bool:
    lowered = new["limit_nanousd"] < old["limit_nanousd"]
    hardened = (old["kind"], new["kind"]) == ("soft", "hard")
    return bool(lowered or hardened)


def _columns(draft: Draft) -> tuple[object, ...]:
    return (
        draft.name,
        draft.selector,
        draft.period,
        draft.timezone,
        draft.starts_at,
        draft.ends_at,
        draft.limit_nanousd,
        draft.kind,
        draft.open_up_to_nanousd,
        draft.alert_at_percent,
    )


def _view(row: Row) -> dict[str, Any]:
    renamed = {"selector", "limit_nanousd", "open_up_to_nanousd"}
    columns = {name: value for name, value in row.items() if name not in renamed}
    return {
        **columns,
        "scope": row["selector"],
        **amount("limit", row["limit_nanousd"]),
        **amount("open_up_to", row["open_up_to_nanousd"]),
    }
