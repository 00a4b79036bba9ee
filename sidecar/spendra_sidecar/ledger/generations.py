"""Which rebuild of the live balances is current, and rebuilding them when they are lost."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Sequence

from spendra_sidecar.ledger.balances import Balances
from spendra_sidecar.ledger.books import Books, BooksUnavailableError
from spendra_sidecar.ledger.calls import BalancesUnavailableError
from spendra_sidecar.ledger.open_journal import Opened
from spendra_sidecar.ledger.outages import Outages
from spendra_sidecar.metrics import Metrics

_log = logging.getLogger(__name__)


class Generations:
    """`current` is what this sidecar believes; Postgres decides."""

    def __init__(
        self, balances: Balances, books: Books, outages: Outages, metrics: Metrics
    ) -> None:
        self._balances = balances
        self._books = books
        self._outages = outages
        self._metrics = metrics
        self._recovering = asyncio.Lock()
        self.current: str | None = None

    async def recover(self, seen: str | None) -> None:
        """Learn the generation that is current, or rebuild when Redis lost that one too.

        `seen`: under which the loss was met. Raises LedgerUnavailableError.
        """
        async with self._recovering:
            if self.current != seen:
                return
            try:
                await self._balances.hear_time()
                current = await self._books.current_generation()
                if current is not None and current != seen:
                    self.current = current
                else:
                    await self._rebuild(seen)
            except (BooksUnavailableError, BalancesUnavailableError) as error:
                raise self._outages.failed("the balances could not be rebuilt", error) from error

    async def land(self, opened: Sequence[Opened]) -> bool:
        """Make what was let through part of the ledger and of a rebuild from it.

        False: another process was first with a rebuild; try again. Raises LedgerUnavailableError.
        """
        async with self._recovering:
            try:
                return await self._rebuild(self.current, opened)
            except (BooksUnavailableError, BalancesUnavailableError) as error:
                raise self._outages.failed("what was let through cannot land", error) from error

    async def _rebuild(self, lost: str | None, landing: Sequence[Opened] = ()) -> bool:
        """Whether it was this process that did it."""
        started = time.monotonic()
        new = secrets.token_hex(8)
        try:
            async with self._books.rebuilding(lost, new, landing) as (current, state):
                if state is not None:
                    await self._balances.rebuild(new, state)
        except BalancesUnavailableError:
            await self._forget(new)
            raise
        self.current = current
        self._outages.answered()
        if state is None:
            return False
        await self._forget(lost)
        self._metrics.rebuilds.inc()
        _log.warning(
            "rebuilt the balances from Postgres: %d accounts, %d open holds, %.0f ms",
            len(state.totals),
            len(state.holds),
            (time.monotonic() - started) * 1000,
        )
        return True

    async def _forget(self, closed: str | None) -> None:
        """Its data can be read by nobody; what cannot be removed now only takes room."""
        if closed:
            with contextlib.suppress(BalancesUnavailableError):
                await self._balances.forget(closed)
