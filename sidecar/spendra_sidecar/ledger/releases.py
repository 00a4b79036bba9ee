"""Giving up reservations that no store confirmed, before anything of them has left."""

import asyncio
from dataclasses import replace

from spendra_sidecar.ledger.balances import Balances
from spendra_sidecar.ledger.books import Books, BooksUnavailableError
from spendra_sidecar.ledger.calls import BalancesUnavailableError, Post
from spendra_sidecar.ledger.words import Reservation, Settled
from spendra_sidecar.metrics import Metrics

_RETRY_S = 0.5
_NEVER_WRITTEN = Settled("unknown", 0)


class Releases:
    """Each runs until it succeeds: the hold goes only once Postgres is known not to have it."""

    def __init__(self, balances: Balances, books: Books, metrics: Metrics) -> None:
        self._balances = balances
        self._books = books
        self._metrics = metrics
        self._under_way: set[asyncio.Task[None]] = set()

    def give_up(self, reservation: Reservation, *, durable_write_was_sent: bool) -> None:
        self._metrics.given_up.inc()
        # Its own: whoever asked may go on with another id.
        work = self._release(replace(reservation), durable_write_was_sent=durable_write_was_sent)
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def idle(self) -> None:
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _release(self, reservation: Reservation, *, durable_write_was_sent: bool) -> None:
        first = None if durable_write_was_sent else _NEVER_WRITTEN
        while True:
            try:
                if first is None:
                    first = await self._books.give_up(reservation.id, "not_confirmed")
                await self._free(reservation, first)
            except (BooksUnavailableError, BalancesUnavailableError):
                await asyncio.sleep(_RETRY_S)
            else:
                return

    async def _free(self, reservation: Reservation, first: Settled) -> None:
        """While we slept it may have been lost and posted: then its cost stays taken."""
        generation = reservation.generation
        if first.outcome == "posted":
            await self._balances.post(generation, [Post(reservation.id, first.cost_nanousd, None)])
        else:
            await self._balances.void(generation, reservation)
