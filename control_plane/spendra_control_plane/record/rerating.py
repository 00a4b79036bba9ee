"""Pricing again what was booked, by the prices that are known now for when it was reserved.

The ledger keeps five counts of an attempt. Its cost is priced again only where these, at the
price that it names, give exactly what was booked; otherwise it is left, and said why.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from spendra._hot import PriceBook, Usage
from spendra.scopes import globs
from spendra_control_plane.authoring.amounts import amount
from spendra_control_plane.reporting.kept import require_kept
from spendra_control_plane.snapshots.moments import ms
from spendra_control_plane.snapshots.prices import PriceRow, prices_segment
from spendra_control_plane.stores.postgres import Pool, Row
from spendra_control_plane.stores.sql import statements

SQL = statements("rerating")
PAGE = 1000
"""Attempts that one request looks at."""
_COUNTS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Half-open in time. Patterns: `*`, `?`. `after`: the last attempt that was looked at."""

    start: datetime
    end: datetime
    provider: str
    model: str
    reason: str
    dry_run: bool
    after: tuple[datetime, UUID] | None


class Change(NamedTuple):
    """`cost_nanousd` is what the attempt should have cost; `amount_nanousd` is to be added."""

    row: Row
    cost_nanousd: int
    amount_nanousd: int
    price_version: str


@dataclass(frozen=True)
class Books:
    """`own`: rows of the organization's own prices, the newest first."""

    catalog: bytes
    own: Sequence[PriceRow]

    @cached_property
    def now(self) -> PriceBook:
        return PriceBook.load(prices_segment(self.catalog, self.own))

    @cached_property
    def _catalog(self) -> PriceBook:
        return PriceBook.load(self.catalog)

    @cached_property
    def _then(self) -> dict[str, PriceBook | None]:
        return {}

    def then(self, price_version: str) -> PriceBook | None:
        """The book with nothing in it but the price that was booked by; None: not known here."""
        if price_version not in self._then:
            self._then[price_version] = self._find(price_version)
        return self._then[price_version]

    def _find(self, price_version: str) -> PriceBook | None:
        version, _, rest = price_version.partition(":")
        layer, _, price_id = rest.partition(":")
        if version != self.now.version:
            return None
        if layer == "catalog":
            return self._catalog
        unlimited = {"starts_at": None, "ends_at": None}
        only = [{**row, **unlimited} for row in self.own if row["id"] == price_id]
        return PriceBook.load(prices_segment(self.catalog, only)) if only else None


async def rerate(
    pool: Pool, org_id: str, books: Books, wanted: Wanted, booked_by: str
) -> dict[str, Any]:
    """One page of attempts; all of its adjustments are booked, or none."""
    await require_kept(pool, org_id, wanted.start)
    async with pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(
            SQL["events"], org_id, wanted.start, wanted.end, *(wanted.after or (None, None)), PAGE
        )
        left: Counter[str] = Counter()
        asked = [row for row in rows if _is_asked(row, wanted)]
        changes = [change for change in _changes(asked, books, left) if change.amount_nanousd]
        if changes and not wanted.dry_run:
            ids = [_id(change) for change in changes]
            reservations = [change.row["reservation_id"] for change in changes]
            amounts = [change.amount_nanousd for change in changes]
            values = (ids, reservations, amounts, wanted.reason, booked_by)
            await connection.fetch(SQL["book"], org_id, *values)
    return {
        "looked_at": len(asked),
        "changed": len(changes),
        "unchanged": len(asked) - len(changes) - left.total(),
        "left": dict(left),
        "booked": not wanted.dry_run,
        **amount("change", sum(change.amount_nanousd for change in changes)),
        "items": [_view(change) for change in changes],
        "last": _place(rows[-1]) if len(rows) == PAGE else None,
    }


def _place(row: Row) -> tuple[datetime, UUID]:
    return row["reserved_at"], row["reservation_id"]


def _is_asked(row: Row, wanted: Wanted) -> bool:
    provider, model = (globs([each.lower()]) for each in (wanted.provider, wanted.model))
    models = {row["model"].lower(), row["requested_model"].lower()}
    return bool(provider.fullmatch(row["provider"].lower())) and any(map(model.fullmatch, models))


def _changes(rows: Sequence[Row], books: Books, left: Counter[str]) -> Iterator[Change]:
    for row in rows:
        change = _change(row, books)
        if isinstance(change, str):
            left[change] += 1
        else:
            yield change


def _change(row: Row, books: Books) -> Change | str:
    """Or why the attempt is left as it is."""
    if row["price_version"].startswith("stated:"):
        return "stated_by_the_provider"
    then = books.then(row["price_version"])
    if then is None:
        return "price_no_longer_known"
    usage = Usage(**{name: row[name] for name in _COUNTS})
    names = dict.fromkeys((row["model"], row["requested_model"]))
    explains = (name for name in names if _cost(then, row, name, usage) == row["cost_nanousd"])
    model = next(explains, None)
    if model is None:
        return "counts_do_not_explain_the_cost"
    found = books.now.cost(row["provider"], model, usage, service_tier=None, at_ms=_at_ms(row))
    if found is None or found.unpriced:
        return "unpriced_now"
    amount_nanousd = found.nanousd - row["cost_nanousd"] - row["adjusted_nanousd"]
    return Change(row, found.nanousd, amount_nanousd, found.price_version)


def _cost(book: PriceBook, row: Row, model: str, usage: Usage) -> int | None:
    cost = book.cost(row["provider"], model, usage, service_tier=None, at_ms=_at_ms(row))
    return None if cost is None else cost.nanousd


def _at_ms(row: Row) -> int:
    return ms(row["reserved_at"]) or 0


def _id(change: Change) -> UUID:
    """The same for the same step of the same attempt, so that two at once book it once."""
    return uuid5(change.row["reservation_id"], f"{change.row['times']}:{change.cost_nanousd}")


def _view(change: Change) -> dict[str, Any]:
    named = ("decision_id", "reservation_id", "provider", "model")
    return {
        **{name: change.row[name] for name in named},
        **amount("cost", change.cost_nanousd),
        **amount("change", change.amount_nanousd),
        "price_version": change.price_version,
    }
