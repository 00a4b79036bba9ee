"""How reservations end: Postgres first, then Redis, and a journal for what Postgres cannot take."""

import asyncio
import logging
from collections.abc import Sequence

from spendra_sidecar.ledger.balances import Balances
from spendra_sidecar.ledger.books import Books, BooksRefusedError, BooksUnavailableError
from spendra_sidecar.ledger.calls import BalancesUnavailableError, Post
from spendra_sidecar.ledger.generations import Generations
from spendra_sidecar.ledger.journal import Journal, Row
from spendra_sidecar.ledger.lane import Lane
from spendra_sidecar.ledger.words import LedgerUnavailableError
from spendra_sidecar.metrics import Metrics

_log = logging.getLogger(__name__)
_LINGER_S = 0.01
"""Nobody waits for a settlement, so it waits for company."""


class Settling:
    """Settlements under way; each lands exactly once, whatever becomes of the caller."""

    def __init__(
        self, balances: Balances, books: Books, journal: Journal, generations: Generations,
        metrics: Metrics,
    ) -> None:  # fmt: skip
        self._balances = balances
        self._books = books
        self._journal = journal
        self._generations = generations
        self._metrics = metrics
        self._replaying = asyncio.Lock()
        self._ending: Lane[Row, None] = Lane(self._end, linger_s=_LINGER_S)

    def submit(self, row: Row) -> None:
        self._ending.submit(row)

    async def idle(self) -> None:
        await self._ending.idle()

    @property
    def journaled(self) -> int:
        """Settlements that wait on disk."""
        return len(self._journal.pending)

    async def replay(self) -> None:
        """Bring what is journaled to Postgres, oldest first, as far as that goes."""
        async with self._replaying:
            rows = self._journal.pending[:256]
            if not rows:
                return
            try:
                await self.book(rows)
            except (BooksUnavailableError, OSError):
                return
            await self._journal.landed(len(rows))
        _log.info("%d journaled settlements landed", len(rows))

    async def _end(self, group: Sequence[Row]) -> Sequence[None]:
        try:
            await self.book(group)
        except BooksUnavailableError as error:
            _log.warning("%d settlements wait in the journal: %s", len(group), error)
            self._metrics.journaled.inc(len(group))
            await self._journal.keep(group)
        except OSError as error:
            _log.critical("%s cannot be written: %s", self._journal.refused_path, error)
            await self._journal.keep(group)
        return [None] * len(group)

    async def book(self, group: Sequence[Row]) -> None:
        """At once. One row that Postgres refuses for its content does not hold up the others.

        Raises BooksUnavailableError, or OSError.
        """
        try:
            settled = await self._books.settle(group)
        except BooksRefusedError as error:
            if len(group) == 1:
                await self._set_aside(group[0], error)
                return
            half = len(group) // 2
            await self.book(group[:half])
            await self.book(group[half:])
            return
        pairs = list(zip(group, settled, strict=True))
        for row, first in pairs:
            self._metrics.settled(row.end, first)
        await self._move([_post(row, first.cost_nanousd) for row, first in pairs])

    async def _set_aside(self, row: Row, error: Exception) -> None:
        """Its hold stays, so it counts at its worst case until somebody has looked."""
        await self._journal.set_aside(row)
        self._metrics.refused_settlements.inc()
        _log.critical(
            "Postgres refuses the settlement of %s, see %s: %s",
            row.reservation_id,
            self._journal.refused_path,
            error,
        )

    async def _move(self, posts: Sequence[Post]) -> None:
        """A move that fails leaves Redis too high, never too low; the worker finishes it."""
        seen = self._generations.current
        try:
            lost = await self._balances.post(seen or "", posts)
            if any(lost):
                # What was seen, not what is current by now: that one may be sound already.
                await self._generations.recover(seen)
                await self._balances.post(self._generations.current or "", posts)
        except (BalancesUnavailableError, LedgerUnavailableError) as error:
            self._metrics.moves_left.inc(len(posts))
            _log.info("%d settlements are booked, their balances follow: %s", len(posts), error)


def _post(row: Row, cost_nanousd: int) -> Post:
    """Tokens that nobody counted are taken to have been used."""
    if row.end.confidence == "worst_case":
        return Post(row.reservation_id, cost_nanousd, None)
    return Post(row.reservation_id, cost_nanousd, row.end.tokens.input + row.end.tokens.output)
