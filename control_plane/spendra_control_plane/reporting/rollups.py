"""Spend from rollups: totals of whole hours, by any dimension or by time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from spendra.scopes import LABEL_PREFIX, is_dimension
from spendra.snapshot import Selector
from spendra_control_plane.access.callers import Seen
from spendra_control_plane.authoring.amounts import amount
from spendra_control_plane.authoring.refusals import refuse_invalid
from spendra_control_plane.stores.postgres import Connection, Pool
from spendra_control_plane.stores.sql import statements

SQL = statements("rollups")
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_MOST_HOURS, _MOST_DAYS = 31 * 24, 366
_AMOUNTS = ("cost", "adjusted", "overrun")
_COUNTS = (
    "requests",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)


@dataclass(frozen=True, kw_only=True)
class Question:
    """Half-open, in whole hours. `by`: a dimension, `cost_center`, `hour`, `day`, or empty."""

    start: datetime
    end: datetime
    scope: Selector
    by: str
    most: int


class Span(NamedTuple):
    """Whole days, and the hours before and after them: bounds, each half-open."""

    days: list[datetime]
    hours: list[datetime]


def span(start: datetime, end: datetime) -> Span:
    """Covers the time from `start` to `end`, which are whole hours, with nothing twice."""
    first_day = -(-(start - _EPOCH) // _DAY) * _DAY + _EPOCH
    last_day = (end - _EPOCH) // _DAY * _DAY + _EPOCH
    if first_day >= last_day:
        return Span([start, start], [start, end, end, end])
    return Span([first_day, last_day], [start, first_day, last_day, end])


async def spend(pool: Pool, seen: Seen, question: Question) -> dict[str, Any]:
    """`total` counts everything once; `items` are the dearest first, or in the order of time."""
    async with pool.acquire() as connection:
        total = await _total(connection, seen, question, _label(question.scope))
        items = await _items(connection, seen, question, total)
        whole_at = await connection.fetchval(SQL["whole_at"], seen.org_id)
    return {
        "from": question.start,
        "to": question.end,
        "whole_at": whole_at,
        "by": question.by or None,
        "total": _shown(total),
        "items": [{"value": value, **_shown(sums)} for value, sums in items[: question.most]],
        "has_more": len(items) > question.most,
    }


async def _total(
    connection: Connection, seen: Seen, question: Question, label: str
) -> dict[str, int]:
    covered = span(question.start, question.end)
    scoped = (question.scope, seen.reach)
    row = await connection.fetchrow(SQL["total"], seen.org_id, label, *covered, *scoped)
    return dict(row.items()) if row is not None else {}


async def _items(
    connection: Connection, seen: Seen, question: Question, total: dict[str, int]
) -> list[tuple[Any, dict[str, int]]]:
    if not question.by:
        return []
    label = _label((question.by, *question.scope))
    rows = await connection.fetch(*_breakdown(question, seen, label))
    items = [(row["value"], {name: row[name] for name in total}) for row in rows]
    if label and label not in question.scope and question.by == label:
        with_label = await _total(connection, seen, question, label)
        rest = {name: total[name] - with_label[name] for name in total}
        items = _by_cost([*items, (None, rest)] if any(rest.values()) else items)
    return items


def _by_cost(items: list[tuple[Any, dict[str, int]]]) -> list[tuple[Any, dict[str, int]]]:
    return sorted(items, key=lambda item: -item[1]["cost_nanousd"] - item[1]["adjusted_nanousd"])


def _breakdown(question: Question, seen: Seen, label: str) -> tuple[Any, ...]:
    scoped, most = (question.scope, seen.reach), question.most + 1
    if question.by in {"hour", "day"}:
        times = (question.start, question.end, question.by)
        return (SQL["by_time"], seen.org_id, label, *times, *scoped, most)
    covered = span(question.start, question.end)
    return (SQL["by_value"], seen.org_id, label, *covered, *scoped, question.by, most)


def check(question: Question) -> None:
    """Raises Refusal for what rollups cannot tell."""
    start, end, by = question.start, question.end, question.by
    if start >= end:
        refuse_invalid("'from' must be before 'to'.")
    if (start - _EPOCH) % _HOUR or (end - _EPOCH) % _HOUR:
        refuse_invalid("'from' and 'to' must be whole hours; GET /v1/ledger takes any moment.")
    if by not in {"", "hour", "day", "cost_center"} and not is_dimension(by):
        refuse_invalid(f"by: {by!r} is not a dimension, 'cost_center', 'hour' or 'day'.")
    if "run" in {by, *question.scope}:
        refuse_invalid("Runs are too many to be summed up; ask GET /v1/ledger?scope=run=… instead.")
    if by == "day" and ((start - _EPOCH) % _DAY or (end - _EPOCH) % _DAY):
        refuse_invalid("'from' and 'to' must be midnight UTC where 'by' is 'day'.")
    labels = {name for name in (by, *question.scope) if name.startswith(LABEL_PREFIX)}
    if len(labels) > 1:
        refuse_invalid("Only one label can be asked for at a time; GET /v1/ledger takes several.")
    most = {"hour": _MOST_HOURS * _HOUR, "day": _MOST_DAYS * _DAY}.get(by)
    if most is not None and end - start > most:
        refuse_invalid(f"by {by!r} a span may be {most.days} days at most.")


def _label(dimensions: Iterable[str]) -> str:
    return next((name for name in dimensions if name.startswith(LABEL_PREFIX)), "")


def _shown(sums: dict[str, int]) -> dict[str, Any]:
    counts: dict[str, Any] = {name: sums[name] for name in _COUNTS}
    for name in _AMOUNTS:
        counts |= amount(name, sums[f"{name}_nanousd"])
    return counts


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
