"""What a budget has left in its current window, as the system of record knows it."""

from datetime import UTC, datetime
from typing import Any

from spendra.ids import account_id
from spendra.periods import FOREVER_S, Window, window
from spendra.snapshot import BudgetRecord
from spendra_control_plane.access.callers import Seen
from spendra_control_plane.authoring import budgets
from spendra_control_plane.authoring.amounts import amount
from spendra_control_plane.snapshots.compile import budget_record
from spendra_control_plane.stores.postgres import Connection, Pool, Row
from spendra_control_plane.stores.sql import statements

SQL = statements("reporting")


async def spend(pool: Pool, seen: Seen, budget_id: str, now_ms: int) -> dict[str, Any]:
    """Settled and held in the window at this instant; a `fixed` budget has one window only."""
    async with pool.acquire() as connection:
        row = await budgets.read_seen(connection, seen, budget_id)
        record = budget_record(row)
        current = window(record, now_ms) or _only_window(record)
        settled, held, lost = await totals(connection, seen.org_id, row, current)
    return {
        "id": budget_id,
        "name": row["name"],
        "state": row["state"],
        "window": _view(current),
        **amount("limit", row["limit_nanousd"]),
        **amount("settled", settled),
        **amount("held", held),
        **amount("lost", lost),
        **amount("remaining", row["limit_nanousd"] - settled - held),
    }


async def windows(
    pool: Pool, seen: Seen, budget_id: str, before: datetime | None, limit: int
) -> list[dict[str, Any]]:
    """What was settled in each window, newest first; `limit` is the last that was in force."""
    async with pool.acquire() as connection:
        await budgets.read_seen(connection, seen, budget_id)
        rows = await connection.fetch(SQL["windows"], seen.org_id, budget_id, before, limit)
    return [
        {
            "account_id": row["account_id"],
            "start": row["window_start"],
            "end": None if row["window_end"] >= _moment(FOREVER_S) else row["window_end"],
            **amount("limit", row["limit_nanousd"]),
            **amount("settled", row["settled_nanousd"]),
        }
        for row in rows
    ]


async def totals(
    connection: Connection, org_id: str, budget: Row, current: Window
) -> tuple[int, int, int]:
    """Settled, held, and what of the held is lost."""
    account = account_id(budget["id"], current.start_s)
    row = await connection.fetchrow(SQL["totals"], org_id, account)
    if row is not None:
        return row["settled_nanousd"], row["held_nanousd"], row["lost_nanousd"]
    bounds = (_moment(current.start_s), _moment(current.end_s))
    settled: int = await connection.fetchval(SQL["unopened"], org_id, budget["selector"], *bounds)
    return settled, 0, 0


def _only_window(record: BudgetRecord) -> Window:
    return Window((record.starts_at_ms or 0) // 1000, (record.ends_at_ms or 0) // 1000)


def _view(current: Window) -> dict[str, datetime | None]:
    end = None if current.end_s == FOREVER_S else _moment(current.end_s)
    return {"start": _moment(current.start_s), "end": end}


def _moment(unix_s: int) -> datetime:
    return datetime.fromtimestamp(unix_s, tz=UTC)
