"""Reserve and settle, in the order that keeps money safe.

Reserve: Redis, then Postgres, then the request may leave. Settle: Postgres, then Redis. So Redis
never shows less taken than Postgres knows.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from spendra_sidecar.ledger.balances import Balances
from spendra_sidecar.ledger.books import Books, BooksRefusedError, BooksUnavailableError, Written
from spendra_sidecar.ledger.calls import (
    Answer,
    BalancesUnavailableError,
    Claimed,
    GenerationLost,
    Gone,
    Unseeded,
)
from spendra_sidecar.ledger.claims import Claims
from spendra_sidecar.ledger.extending import Extending
from spendra_sidecar.ledger.failing_open import NOTHING, FailingOpen, Wanted
from spendra_sidecar.ledger.generations import Generations
from spendra_sidecar.ledger.journal import Journal, Row
from spendra_sidecar.ledger.lane import Lane
from spendra_sidecar.ledger.open_journal import OpenJournal
from spendra_sidecar.ledger.outages import Outages
from spendra_sidecar.ledger.releases import Releases
from spendra_sidecar.ledger.settling import Settling
from spendra_sidecar.ledger.words import (
    Account,
    Exhausted,
    Frozen,
    Held,
    LedgerUnavailableError,
    Outcome,
    Pending,
    Reservation,
    Reviewed,
    StoresAwayError,
    Verdict,
)
from spendra_sidecar.metrics import Metrics

_log = logging.getLogger(__name__)
_ROUNDS = 5
"""A first use may meet a lost generation, unseeded accounts, a raised generation, a free claim."""
_RETRY_S = 0.5
_LINGER_S = 0.01


class Ledger:
    """The ledger as one sidecar uses it."""

    def __init__(
        self, balances: Balances, books: Books, journal: Journal, metrics: Metrics
    ) -> None:
        self._balances = balances
        self._books = books
        self._metrics = metrics
        self._outages = Outages()
        self._generations = Generations(balances, books, self._outages, metrics)
        self._settling = Settling(balances, books, journal, self._generations, metrics)
        self._releases = Releases(balances, books, metrics)
        self._claims = Claims(books, self._outages)
        self._open = FailingOpen(
            OpenJournal(journal.beside("open.jsonl")), books, self._generations, self._settling,
            metrics, self._reserve,
        )  # fmt: skip
        self._extending = Extending(balances, books, self._generations, self._outages)
        self._holding: Lane[Reservation, Answer] = Lane(self._hold, width=2)
        self._writing: Lane[Reservation, Written] = Lane(self._write, width=books.writers)
        self._refusing: Lane[tuple[Any, ...], None] = Lane(self._refuse, linger_s=_LINGER_S)

    async def reserve(self, reservation: Reservation) -> Verdict:
        """Hold, then make durable. Raises LedgerUnavailableError when that cannot be known.

        While a store is away, what every matching hard budget lets through is Held all the same,
        under an id of its own.
        """
        try:
            verdict = await self._reserve(reservation)
        except StoresAwayError:
            let_through = await self._open.admit(reservation)
            if let_through is None:
                raise
            return let_through
        if isinstance(verdict, Exhausted) and self._outages.is_under_way:
            # Holds that Postgres could not confirm fill Redis up until it is back.
            return await self._open.admit(reservation) or verdict
        return verdict

    async def _reserve(self, reservation: Reservation) -> Verdict:
        for _ in range(_ROUNDS):
            answer = await self._hold_one(reservation)
            if isinstance(answer, Held):
                final = await self._write_one(reservation, answer)
            else:
                final = await self._settle_answer(reservation, answer)
            if final is not None:
                return final
        msg = "the balances kept changing hands"
        raise LedgerUnavailableError(msg)

    async def extend(
        self, reservation: Reservation, number: int, additional_nanousd: int
    ) -> Held | Exhausted | Frozen:
        """Grow an open hold by nano-USD on all its accounts, all or none, durably.

        `number` counts the extensions of this reservation from 1, in order; repeating one changes
        nothing. Only after Held may the additional amount be used, and `amount_nanousd` is that
        much larger. Raises LedgerUnavailableError when it cannot be known, or the reservation has
        ended or is lost: then the additional amount must not be used. It needs no giving up: what
        was held of it goes when the reservation ends.
        """
        return await self._extending.extend(reservation, number, additional_nanousd)

    async def warm(self) -> None:
        """Learn the generation before the first request has to."""
        try:
            await self._generations.recover(None)
        except LedgerUnavailableError as error:
            _log.warning("the stores are not there yet: %s", error)

    def now_ms(self) -> int:
        """Milliseconds since 1970 by the balance store's clock, which budgets go by."""
        return self._balances.clock.now_ms()

    def settle(self, reservation: Reservation, end: Outcome) -> None:
        """End a reservation in the background, exactly once, whatever becomes of the caller."""
        if end.cost_nanousd > reservation.amount_nanousd:
            self._metrics.overruns.inc()
            _log.error("%s cost more than its worst case: %s", reservation.id, end)
        row = Row(reservation.id, end)
        if self._open.has(reservation.id):
            self._open.settle(row)
        else:
            self._settling.submit(row)

    async def keep_pending(
        self, reservation: Reservation, identity: str, kind: str, seconds: int
    ) -> bool:
        """Leave a reservation open until a later answer about `identity`, of whichever sidecar.

        False: it is this sidecar's as before.
        """
        try:
            return await self._books.keep_pending(
                reservation.provider, identity, kind, reservation.id, seconds
            )
        except BooksUnavailableError as error:
            _log.warning("%s cannot wait for a later answer: %s", reservation.id, error)
            return False

    async def find_pending(self, provider: str, identity: str) -> Pending | None:
        """What waits for an answer about `identity`, as far as can be known now."""
        try:
            return await self._books.find_pending(provider, identity)
        except BooksUnavailableError as error:
            _log.warning("a later answer was not looked at: %s", error)
            return None

    async def ask_review(self, *asked: Any) -> Reviewed:
        """As `Books.ask_review`. Raises LedgerUnavailableError."""
        try:
            return await self._books.ask_review(*asked)
        except BooksUnavailableError as error:
            raise LedgerUnavailableError(str(error)) from error

    async def give_review_back(self, request_id: str, decision_id: UUID) -> None:
        """An approval whose request did not leave; never raises."""
        try:
            await self._books.give_review_back(request_id, decision_id)
        except BooksUnavailableError as error:
            _log.warning("the approval %s is used up, though nothing left: %s", request_id, error)

    def refuse(self, row: tuple[Any, ...]) -> None:
        """Record a refusal in the background; losing one loses no money."""
        self._refusing.submit(row)

    async def replay(self, wanted: Callable[[], Wanted] = lambda: NOTHING) -> None:
        """Bring to Postgres what waits on disk, and set aside what budgets say, for ever."""
        while True:
            await self.catch_up(wanted())
            await asyncio.sleep(_RETRY_S)

    async def catch_up(self, wanted: Wanted) -> None:
        """Once."""
        await self._settling.replay()
        await self._open.tick(wanted)

    async def drain(self) -> None:
        """Wait for every settlement and release under way, and try the journal once more."""
        await self._settling.idle()
        await self._open.idle()
        await self._refusing.idle()
        await self._releases.idle()
        await self._settling.replay()

    async def close(self) -> None:
        """At the end of a sidecar that ends well: all lands, and what is set aside returns."""
        await self.drain()
        await self._open.tick(NOTHING)

    @property
    def journaled(self) -> int:
        """Settlements that wait on disk."""
        return self._settling.journaled

    # Reserving

    async def _settle_answer(self, reservation: Reservation, answer: Answer) -> Verdict | None:
        """What an answer other than Held comes to. None: ask again."""
        if isinstance(answer, GenerationLost):
            await self._generations.recover(answer.generation or None)
        elif isinstance(answer, Unseeded):
            await self._seed(answer.accounts)
        elif isinstance(answer, Claimed):
            return await self._claims.judge(reservation, answer)
        elif isinstance(answer, Gone):
            msg = "the reservation was given up"
            raise LedgerUnavailableError(msg)
        else:
            return answer
        return None

    async def _hold_one(self, reservation: Reservation) -> Answer:
        self._outages.guard()
        if self._generations.current is None:
            return GenerationLost("")
        try:
            answer = await self._holding.submit(reservation)
        except BalancesUnavailableError as error:
            self._releases.give_up(reservation, durable_write_was_sent=False)
            raise self._outages.failed("the balance store does not answer", error) from error
        except asyncio.CancelledError:
            self._releases.give_up(reservation, durable_write_was_sent=False)
            raise
        return answer

    async def _hold(self, group: Sequence[Reservation]) -> Sequence[Answer]:
        generation = self._generations.current or ""
        for reservation in group:
            reservation.generation = generation
        return await self._balances.reserve(generation, group)

    async def _write_one(self, reservation: Reservation, held: Held) -> Verdict | None:
        """Held when it is durable. None: its generation is closed, and nothing was written."""
        try:
            written = await self._writing.submit(reservation)
        except BooksUnavailableError as error:
            self._releases.give_up(reservation, durable_write_was_sent=True)
            raise self._outages.failed("the system of record does not answer", error) from error
        except asyncio.CancelledError:
            self._releases.give_up(reservation, durable_write_was_sent=True)
            raise
        self._outages.answered()
        if written.generation != reservation.generation:
            self._generations.current = written.generation
            return None
        if reservation.id not in written.unwritten:
            return held
        self._releases.give_up(reservation, durable_write_was_sent=False)
        return Frozen() if written.is_frozen else await self._claims.holder(reservation)

    async def _write(self, group: Sequence[Reservation]) -> Sequence[Written]:
        """One statement per generation in the group; there is nearly always one."""
        written: dict[str, Written] = {}
        for generation in {reservation.generation for reservation in group}:
            named = [r for r in group if r.generation == generation]
            try:
                written[generation] = await self._books.reserve(generation, named)
            except BooksRefusedError:
                # One of them cannot be written; the others must not suffer for it.
                if len(group) == 1:
                    raise
                return await self._write_singly(group)
        return [written[reservation.generation] for reservation in group]

    async def _write_singly(self, group: Sequence[Reservation]) -> Sequence[Written]:
        written: list[Written] = []
        for reservation in group:
            try:
                written += await self._write([reservation])
            except BooksRefusedError as error:
                _log.error("Postgres refuses the reservation %s: %s", reservation.id, error)
                refused = frozenset((reservation.id,))
                written.append(Written(reservation.generation, refused))
        return written

    async def _seed(self, accounts: list[Account]) -> None:
        generation = self._generations.current or ""
        try:
            totals = await self._books.open_accounts(generation, accounts)
            if totals is None:
                await self._generations.recover(generation)
            else:
                await self._balances.seed(generation, totals)
        except (BooksUnavailableError, BalancesUnavailableError) as error:
            raise self._outages.failed("an account could not be opened", error) from error

    async def _refuse(self, group: Sequence[tuple[Any, ...]]) -> Sequence[None]:
        try:
            await self._books.record_refusals(group)
        except BooksUnavailableError as error:
            _log.warning("%d refusals were not recorded: %s", len(group), error)
        return [None] * len(group)
