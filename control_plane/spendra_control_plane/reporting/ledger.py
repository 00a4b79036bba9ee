"""The ledger, newest first: each ended reservation with its entries."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from spendra.snapshot import Selector
from spendra_control_plane.access.callers import Seen
from spendra_control_plane.reporting import rollups
from spendra_control_plane.reporting.decisions import amounts, budgets_of, usage
from spendra_control_plane.reporting.kept import require_kept
from spendra_control_plane.stores.postgres import Connection, Pool, Row
from spendra_control_plane.stores.sql import statements

SQL = statements("reporting")
_OF_HOURS = SQL["ledger"].replace(
    "FROM spendra.spend_events",
    "FROM unnest($10::timestamptz[]) AS hour (at) JOIN spendra.spend_events "
    "ON reserved_at >= hour.at AND reserved_at < hour.at + interval '1 hour'",
)
_OF_RUN = SQL["ledger"].replace(
    "WHERE org_id = $1", "WHERE org_id = $1 AND facts ? 'run' AND facts #>> '{run,0}' = $10"
)
_MOST_HOURS = 500
"""Looked into at a time."""
ENTRY_FIELDS = ("entry_id", "kind", "account", "amount_nanousd", "booked_at")


@dataclass(frozen=True, kw_only=True)
class Part:
    """Of the ledger. Half-open in time, by when the money was reserved."""

    start: datetime | None
    end: datetime | None
    scope: Selector


@dataclass(frozen=True, kw_only=True)
class Question(Part):
    """`before`: the last item seen."""

    decision_id: UUID | None
    before: tuple[datetime, UUID] | None


async def page(pool: Pool, seen: Seen, question: Question, limit: int) -> list[dict[str, Any]]:
    org_id = seen.org_id
    await require_kept(pool, org_id, question.start)
    async with pool.acquire() as connection:
        rows = await _rows(connection, seen, question, limit)
        entries = await _entries(connection, org_id, rows)
        accounts = {account for row in rows for account in row["account_ids"]}
        budgets = await budgets_of(connection, org_id, accounts)
    return [_view(row, entries[row["reservation_id"]], budgets) for row in rows]


async def _rows(connection: Connection, seen: Seen, question: Question, limit: int) -> list[Row]:
    """Where some value is asked for, only in the hours that have it: they may be long ago.

    Runs have no hours, but an index.
    """
    before = question.before or (None, None)
    asked = (question.start, question.end, question.scope, question.decision_id, *before)
    arguments = (seen.org_id, *asked, limit, seen.reach)
    runs = question.scope.get("run", [])
    if len(runs) == 1:
        return await connection.fetch(_OF_RUN, *arguments, runs[0])
    hours = None
    if question.decision_id is None:
        bounds = (question.start, question.end, before[0])
        hours = await rollups.hours(connection, seen, question.scope, bounds)
    if hours is None:
        return await connection.fetch(SQL["ledger"], *arguments)
    found: list[Row] = []
    for some in _in_turn(hours, limit):
        found += await connection.fetch(_OF_HOURS, *arguments, some)
        if len(found) >= limit:
            break
    return found[:limit]


def _in_turn(hours: list[tuple[datetime, int]], wanted: int) -> Iterator[list[datetime]]:
    """As many hours as should hold what is wanted, then those with twice that, and so on."""
    some: list[datetime] = []
    held = 0
    for at, requests in hours:
        some.append(at)
        held += requests
        if held >= wanted or len(some) == _MOST_HOURS:
            yield some
            some, held, wanted = [], 0, wanted * 2
    if some:
        yield some


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
