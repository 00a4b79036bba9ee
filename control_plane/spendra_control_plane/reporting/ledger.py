"""The ledger, newest first: each ended reservation with its entries."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from spendra.snapshot import Selector
from spendra_control_plane.access.callers import Seen
from spendra_control_plane.reporting.decisions import amounts, budgets_of, usage
from spendra_control_plane.stores.postgres import Connection, Pool, Row
from spendra_control_plane.stores.sql import statements

SQL = statements("reporting")
ENTRY_FIELDS = ("entry_id", "kind", "account", "amount_nanousd", "booked_at")


@dataclass(frozen=True, kw_only=True)
class Question:
    """Half-open in time, by when the money was reserved. `before`: the last item seen."""

    start: datetime | None
    end: datetime | None
    scope: Selector
    decision_id: UUID | None
    before: tuple[datetime, UUID] | None


async def page(pool: Pool, seen: Seen, question: Question, limit: int) -> list[dict[str, Any]]:
    org_id = seen.org_id
    before = question.before or (None, None)
    arguments = (question.start, question.end, question.scope, question.decision_id, *before)
    async with pool.acquire() as connection:
        rows = await connection.fetch(SQL["ledger"], org_id, *arguments, limit, seen.reach)
        entries = await _entries(connection, org_id, rows)
        accounts = {account for row in rows for account in row["account_ids"]}
        budgets = await budgets_of(connection, org_id, accounts)
    return [_view(row, entries[row["reservation_id"]], budgets) for row in rows]


async def _entries(
    connection: Connection, org_id: str, rows: Sequence[Row]
) -> dict[UUID, list[dict[str, Any]]]:
    decisions = list({row["decision_id"] for row in rows})
    found: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in await connection.fetch(SQL["entries"], org_id, decisions):
        found[row["reservation_id"]].append({name: row[name] for name in ENTRY_FIELDS})
    return found


def _view(
    row: Row, entries: list[dict[str, Any]], budgets: dict[str, dict[str, str]]
) -> dict[str, Any]:
    plain = (
        "decision_id",
        "reservation_id",
        "attempt",
        "state",
        "reason",
        "sidecar_id",
        "provider",
        "requested_model",
        "model",
        "upstream_status",
        "usage_confidence",
        "policy_version",
        "price_version",
        "reserved_at",
        "settled_at",
        "batch_id",
    )
    return {
        **{name: row[name] for name in plain},
        "usage": usage(row),
        **amounts(row),
        "scope": row["facts"],
        "budgets": [budgets[account] for account in row["account_ids"]],
        "entries": entries,
    }
