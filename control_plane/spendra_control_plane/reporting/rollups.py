"""Spend from rollups: totals of whole hours, by any dimension or by time."""

from collections.abc import Iterable, Sequence
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

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_GRAINS = {"hour": _HOUR, "day": _DAY}
_MOST_HOURS, _MOST_DAYS = 31 * 24, 366
_GLOB = frozenset("*?")
_DERIVED = "cost_center"
"""Totals have the one that is charged; an event's facts may name others besides."""
_AMOUNTS = ("cost", "adjusted", "overrun")
_COUNTS = (
    "requests",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)
_SUMS = (*_COUNTS, *(f"{name}_nanousd" for name in _AMOUNTS))
_LISTS = {
    ":sums": ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in _SUMS),
    ":named": ", ".join(f"coalesce(s.{name}, 0) AS {name}" for name in _SUMS),
}


def _spelled_out(sql: str) -> str:
    for word, columns in _LISTS.items():
        sql = sql.replace(word, columns)
    return sql


SQL = {name: _spelled_out(sql) for name, sql in statements("rollups").items()}


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
        await _check_label(connection, seen, _label((question.by, *question.scope)))
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


async def _check_label(connection: Connection, seen: Seen, label: str) -> None:
    if label and not await connection.fetchval(SQL["is_rolled_up"], seen.org_id, label):
        detail = f"{label!r} has too many values to be summed up; GET /v1/ledger has each request."
        refuse_invalid(detail)


async def _total(
    connection: Connection, seen: Seen, question: Question, label: str
) -> dict[str, int]:
    covered, one = span(question.start, question.end), _one(seen, question.scope)
    if one is not None and label in {"", one[0]}:
        row = await connection.fetchrow(SQL["total_of_one"], seen.org_id, one[0], *covered, one[1])
    else:
        scoped = (question.scope, seen.reach)
        row = await connection.fetchrow(SQL["total"], seen.org_id, label, *covered, *scoped)
    return dict(row.items()) if row is not None else {}


def _one(seen: Seen, scope: Selector) -> tuple[str, str] | None:
    """The dimension and value whose totals are all that may be counted; empty for everything."""
    if seen.reach is not None:
        return None
    if not scope:
        return "", ""
    return _exact_value(scope) if len(scope) == 1 else None


def _exact_value(scope: Selector) -> tuple[str, str] | None:
    """A dimension and its value that all must have, of those that have totals."""
    for dimension, values in scope.items():
        is_glob = dimension == "model" and _GLOB & set(values[0])
        if len(values) == 1 and dimension != "run" and not is_glob:
            return dimension, values[0]
    return None


async def hours(
    connection: Connection, seen: Seen, scope: Selector, bounds: Sequence[datetime | None]
) -> list[tuple[datetime, int]] | None:
    """Hours that may have what is asked for, newest first, and about how much; None for any hour.

    `bounds`: from, to (exclusive) and the last moment of interest; None leaves it open.
    """
    named = {name: values for name, values in scope.items() if name != _DERIVED}
    for label in [name for name in named if name.startswith(LABEL_PREFIX)]:
        if not await connection.fetchval(SQL["is_rolled_up"], seen.org_id, label):
            del named[label]
    exact = _exact_value(named)
    pairs = [exact] if exact else [(k, v) for k, names in (seen.reach or {}).items() for v in names]
    if (not pairs and seen.reach is None) or any(kind == _DERIVED for kind, _ in pairs):
        return None
    values = [list(column) for column in zip(*pairs, strict=True)] or [[], []]
    mark = await connection.fetchval(SQL["mark"], seen.org_id)
    rows = await connection.fetch(SQL["hours_of"], seen.org_id, *values, *bounds, mark)
    return [(row["starts_at"], row["requests"]) for row in rows]


async def _items(
    connection: Connection, seen: Seen, question: Question, total: dict[str, int]
) -> list[tuple[Any, dict[str, int]]]:
    if not question.by:
        return []
    label = _label((question.by, *question.scope))
    rows = await connection.fetch(*_breakdown(question, seen, label))
    items = [(row["value"], {name: row[name] for name in total}) for row in rows]
    if label and label not in question.scope and question.by == label:
        with_label = await _with_label(connection, seen, question, label)
        rest = {name: total[name] - with_label[name] for name in total}
        items = _by_cost([*items, (None, rest)] if any(rest.values()) else items)
    return items


async def _with_label(
    connection: Connection, seen: Seen, question: Question, label: str
) -> dict[str, int]:
    """A request has one value of a label, so what has the label is the sum of its values."""
    if _one(seen, question.scope) != ("", ""):
        return await _total(connection, seen, question, label)
    covered = span(question.start, question.end)
    row = await connection.fetchrow(SQL["total_of_all"], seen.org_id, label, *covered)
    return dict(row.items()) if row is not None else {}


def _by_cost(items: list[tuple[Any, dict[str, int]]]) -> list[tuple[Any, dict[str, int]]]:
    return sorted(items, key=lambda item: -item[1]["cost_nanousd"] - item[1]["adjusted_nanousd"])


def _breakdown(question: Question, seen: Seen, label: str) -> tuple[Any, ...]:
    one, most = _one(seen, question.scope), question.most + 1
    if question.by in _GRAINS:
        return _by_time(question, seen, label, one)
    covered = span(question.start, question.end)
    if one == ("", ""):
        return (SQL["by_value_of_one"], seen.org_id, question.by, *covered, most)
    scoped = (question.scope, seen.reach)
    return (SQL["by_value"], seen.org_id, label, *covered, *scoped, question.by, most)


def _by_time(
    question: Question, seen: Seen, label: str, one: tuple[str, str] | None
) -> tuple[Any, ...]:
    start, end, grain = question.start, question.end, question.by
    covered = span(start, end) if grain == "day" else Span([start, start], [start, end, end, end])
    times = (start, grain, end - _GRAINS[grain], question.most + 1)
    if one is not None:
        return (SQL["by_time_of_one"], seen.org_id, one[0], *covered, one[1], *times)
    scoped = (question.scope, seen.reach)
    return (SQL["by_time"], seen.org_id, label, *covered, *scoped, *times)


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
