"""Reserve and settle, in the order that keeps money safe.

Reserve: Redis, then Postgres, then the request may leave. Settle: Postgres, then Redis. So Redis
never shows less taken than Postgres knows.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Sequence
from typing import Any

from spendra_sidecar.ledger.balances import (
    Balances,
    BalancesUnavailableError,
    GenerationLost,
    Post,
    Unseeded,
)
from spendra_sidecar.ledger.books import Books, BooksUnavailableError
from spendra_sidecar.ledger.journal import Journal, Row
from spendra_sidecar.ledger.lane import Lane
from spendra_sidecar.ledger.words import (
    Account,
    Held,
    LedgerUnavailableError,
    Outcome,
    Reservation,
    Verdict,
)
from spendra_sidecar.metrics import Metrics

_log = logging.getLogger(__name__)
_RESERVE_ROUNDS = 4
"""A first use may meet a lost generation, then unseeded accounts, then a raised generation."""
_RETRY_S = 0.5
_COMPLAINT_S = 5.0
_LINGER_S = 0.01
"""Nobody waits for a settlement, so it waits for company."""


class Ledger:
    """The ledger as one sidecar uses it."""

    def __init__(
        self, balances: Balances, books: Books, journal: Journal, metrics: Metrics
    ) -> None:
        self._balances = balances
        self._books = books
        self._journal = journal
        self._metrics = metrics
        self._generation: str | None = None
        self._complained = float("-inf")
        self._recovering = asyncio.Lock()
        self._replaying = asyncio.Lock()
        self._holding: Lane[Reservation, Verdict | Unseeded | GenerationLost] = Lane(
            self._hold, width=2
        )
        self._writing: Lane[Reservation, str | None] = Lane(self._write, width=books.writers)
        self._ending: Lane[Row, None] = Lane(self._end, linger_s=_LINGER_S)
        self._refusing: Lane[tuple[Any, ...], None] = Lane(self._refuse, linger_s=_LINGER_S)
        self._releases: set[asyncio.Task[None]] = set()

    async def reserve(self, reservation: Reservation) -> Verdict:
        """Hold, then make durable. Raises LedgerUnavailableError when that cannot be known."""
        for _ in range(_RESERVE_ROUNDS):
            verdict = await self._hold_one(reservation)
            if isinstance(verdict, GenerationLost):
                await self._recover(verdict.generation or None)
            elif isinstance(verdict, Unseeded):
                await self._seed(verdict.accounts)
            elif not isinstance(verdict, Held) or await self._write_one(reservation):
                return verdict
        msg = "the balances kept changing hands"
        raise LedgerUnavailableError(msg)

    async def warm(self) -> None:
        """Learn the generation before the first request has to."""
        try:
            await self._recover(None)
        except LedgerUnavailableError as error:
            _log.warning("the stores are not there yet: %s", error)

    def settle(self, reservation: Reservation, end: Outcome) -> None:
        """End a reservation in the background, exactly once, whatever becomes of the caller."""
        if end.cost_nanousd > reservation.amount_nanousd:
            self._metrics.overruns.inc()
            _log.error("%s cost more than its worst case: %s", reservation.id, end)
        self._ending.submit(Row(reservation.id, end))

    def refuse(self, row: tuple[Any, ...]) -> None:
        """Record a refusal in the background; losing one loses no money."""
        self._refusing.submit(row)

    async def replay(self) -> None:
        """Bring journaled settlements to Postgres, for ever."""
        while True:
            await self._replay_once()
            await asyncio.sleep(_RETRY_S)

    async def drain(self) -> None:
        """Wait for every settlement and release under way, and try the journal once more."""
        await self._ending.idle()
        await self._refusing.idle()
        while self._releases:
            await asyncio.wait(self._releases)
        await self._replay_once()

    @property
    def journaled(self) -> int:
        """Settlements that wait on disk."""
        return len(self._journal.pending)

    def _unavailable(self, step: str, error: Exception) -> LedgerUnavailableError:
        """What callers are told; the cause goes to the log, one line an interval."""
        now = time.monotonic()
        if now - self._complained > _COMPLAINT_S:
            self._complained = now
            _log.error("requests are refused: %s: %s", step, error)
        return LedgerUnavailableError(step)

    # Reserving

    async def _hold_one(self, reservation: Reservation) -> Verdict | Unseeded | GenerationLost:
        if self._generation is None:
            return GenerationLost("")
        try:
            return await self._holding.submit(reservation)
        except BalancesUnavailableError as error:
            self._give_up(reservation, durable_write_was_sent=False)
            raise self._unavailable("the balance store does not answer", error) from error
        except asyncio.CancelledError:
            self._give_up(reservation, durable_write_was_sent=False)
            raise

    async def _hold(
        self, group: Sequence[Reservation]
    ) -> Sequence[Verdict | Unseeded | GenerationLost]:
        generation = self._generation or ""
        for reservation in group:
            reservation.generation = generation
        return await self._balances.reserve(generation, group)

    async def _write_one(self, reservation: Reservation) -> bool:
        """Whether it is durable. False: its generation is closed, and nothing was written."""
        generation = reservation.generation
        try:
            current = await self._writing.submit(reservation)
        except BooksUnavailableError as error:
            self._give_up(reservation, durable_write_was_sent=True)
            raise self._unavailable("the system of record does not answer", error) from error
        except asyncio.CancelledError:
            self._give_up(reservation, durable_write_was_sent=True)
            raise
        if current == generation:
            return True
        self._generation = current
        return False

    async def _write(self, group: Sequence[Reservation]) -> Sequence[str | None]:
        """One statement per generation in the group; there is nearly always one."""
        current: dict[str, str | None] = {}
        for generation in {reservation.generation for reservation in group}:
            named = [r for r in group if r.generation == generation]
            current[generation] = await self._books.reserve(generation, named)
        return [current[reservation.generation] for reservation in group]

    async def _seed(self, accounts: list[Account]) -> None:
        generation = self._generation or ""
        try:
            totals = await self._books.open_accounts(generation, accounts)
            if totals is None:
                await self._recover(generation)
            else:
                await self._balances.seed(generation, totals)
        except (BooksUnavailableError, BalancesUnavailableError) as error:
            raise self._unavailable("an account could not be opened", error) from error

    # Giving up what may not have become durable

    def _give_up(self, reservation: Reservation, *, durable_write_was_sent: bool) -> None:
        self._metrics.given_up.inc()
        work = self._release(reservation, durable_write_was_sent=durable_write_was_sent)
        task = asyncio.get_running_loop().create_task(work)
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)

    async def _release(self, reservation: Reservation, *, durable_write_was_sent: bool) -> None:
        """The hold goes only once Postgres is known not to have it."""
        written = durable_write_was_sent
        while True:
            try:
                if written:
                    await self._books.give_up(reservation.id, "not_confirmed")
                    written = False
                await self._balances.void(reservation.generation, reservation.id)
            except (BooksUnavailableError, BalancesUnavailableError):
                await asyncio.sleep(_RETRY_S)
            else:
                return

    # Settling

    async def _end(self, group: Sequence[Row]) -> Sequence[None]:
        """Postgres first, then Redis. What Postgres cannot take waits in the journal."""
        try:
            await self._book(group)
        except BooksUnavailableError as error:
            _log.warning("%d settlements wait in the journal: %s", len(group), error)
            self._metrics.journaled.inc(len(group))
            await self._journal.keep(group)
        return [None] * len(group)

    async def _book(self, group: Sequence[Row]) -> None:
        pairs = list(zip(group, await self._books.settle(group), strict=True))
        for row, first in pairs:
            self._metrics.settled(row.end, first)
        await self._move([Post(row.reservation_id, first.cost_nanousd) for row, first in pairs])

    async def _move(self, posts: Sequence[Post]) -> None:
        """A move that fails leaves Redis too high, never too low; the worker finishes it."""
        seen = self._generation
        try:
            lost = await self._balances.post(seen or "", posts)
            if any(lost):
                # What was seen, not what is current by now: that one may be sound already.
                await self._recover(seen)
                await self._balances.post(self._generation or "", posts)
        except (BalancesUnavailableError, LedgerUnavailableError) as error:
            self._metrics.moves_left.inc(len(posts))
            _log.info("%d settlements are booked, their balances follow: %s", len(posts), error)

    async def _replay_once(self) -> None:
        async with self._replaying:
            rows = self._journal.pending[:256]
            if not rows:
                return
            try:
                await self._book(rows)
            except BooksUnavailableError:
                return
            await self._journal.landed(len(rows))
        _log.info("%d journaled settlements landed", len(rows))

    async def _refuse(self, group: Sequence[tuple[Any, ...]]) -> Sequence[None]:
        try:
            await self._books.record_refusals(group)
        except BooksUnavailableError as error:
            _log.warning("%d refusals were not recorded: %s", len(group), error)
        return [None] * len(group)

    # Generations

    async def _recover(self, seen: str | None) -> None:
        """Learn the generation that is current, or rebuild when Redis lost that one too."""
        async with self._recovering:
            if self._generation != seen:
                return
            try:
                current = await self._books.current_generation()
                if current is not None and current != seen:
                    self._generation = current
                else:
                    await self._rebuild(seen)
            except (BooksUnavailableError, BalancesUnavailableError) as error:
                raise self._unavailable("the balances could not be rebuilt", error) from error

    async def _rebuild(self, lost: str | None) -> None:
        started = time.monotonic()
        new = secrets.token_hex(8)
        async with self._books.rebuilding(lost, new) as (current, state):
            if state is not None:
                await self._balances.rebuild(new, state)
        self._generation = current
        if state is not None:
            self._metrics.rebuilds.inc()
            _log.warning(
                "rebuilt the balances from Postgres: %d accounts, %d open holds, %.0f ms",
                len(state.totals),
                len(state.holds),
                (time.monotonic() - started) * 1000,
            )
