"""Letting requests through while a store is away, as far as budgets say and no further.

A budget may name an amount that each sidecar sets aside beforehand: a hold like any other, durable
and counted in the cap. While a store is away, requests draw on it. Each is on this disk before
it leaves, and becomes a reservation of its own, taken out of what was set aside, in the one
transaction of a rebuild once both stores are back.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from spendra.ids import uuid7
from spendra_sidecar.ledger.books import Books, BooksUnavailableError
from spendra_sidecar.ledger.generations import Generations
from spendra_sidecar.ledger.journal import Row
from spendra_sidecar.ledger.open_journal import Allowance, Ended, Entry, Opened, OpenJournal
from spendra_sidecar.ledger.settling import Settling
from spendra_sidecar.ledger.words import (
    Account,
    Held,
    LedgerUnavailableError,
    Outcome,
    Reservation,
    Tokens,
    Verdict,
)
from spendra_sidecar.metrics import Metrics

_log = logging.getLogger(__name__)
_TAKE_EVERY_S = 5.0
_RETURNED = Outcome("voided", "allowance_returned", 0, "allowance", None, "none", Tokens(), "")


class Wanted(NamedTuple):
    """Accounts of which something is to be set aside, and the snapshot that says so."""

    accounts: Sequence[Account]
    policy_version: int


NOTHING = Wanted((), 0)


class _SetAside:
    """An allowance in force; `left_nanousd` is what no request has drawn."""

    def __init__(self, held: Reservation) -> None:
        self.held = held
        self.left_nanousd = held.amount_nanousd

    @property
    def account(self) -> Account:
        return self.held.accounts[0]

    @property
    def is_whole(self) -> bool:
        return self.left_nanousd == self.held.amount_nanousd


class FailingOpen:
    """Allowances, and what was drawn on them and has not landed yet."""

    def __init__(
        self, journal: OpenJournal, books: Books, generations: Generations, settling: Settling,
        metrics: Metrics, reserve: Callable[[Reservation], Awaitable[Verdict]],
    ) -> None:  # fmt: skip
        self._journal = journal
        self._books = books
        self._generations = generations
        self._settling = settling
        self._metrics = metrics
        self._reserve = reserve
        self._set_aside: dict[str, _SetAside] = {}
        self._opened: dict[UUID, Opened] = {}
        self._ended: dict[UUID, Row] = {}
        self._stale: list[UUID] = []
        """Allowances of an earlier run, or no longer wanted: to be returned."""
        self._writing: set[asyncio.Task[None]] = set()
        self._next_take = float("-inf")
        self._recall(journal.read())

    def _recall(self, entries: list[Entry]) -> None:
        for entry in entries:
            if isinstance(entry, Opened):
                self._opened[entry.reservation.id] = entry
            elif isinstance(entry, Ended):
                self._ended[entry.row.reservation_id] = entry.row
            else:
                self._stale.append(entry.reservation_id)

    # While a store is away

    async def admit(self, reservation: Reservation) -> Held | None:
        """None unless each hard budget has enough set aside here; at least one must match.

        A request with an idempotency key is not let through: nobody could say that it is the only
        one. It gets an id of its own, because the one that it had is being given up.
        """
        drawn = self._drawable(reservation)
        if drawn is None:
            return None
        for each in drawn:
            each.left_nanousd -= reservation.amount_nanousd
        reservation.id = _new_id()
        opened = Opened(
            _plain(reservation), self._books.incarnation, [each.held.id for each in drawn]
        )
        self._opened[reservation.id] = opened
        try:
            await self._journal.keep(opened)
        except OSError as error:
            _log.critical("nothing is let through, the journal cannot be written: %s", error)
            del self._opened[reservation.id]
            for each in drawn:
                each.left_nanousd += reservation.amount_nanousd
            return None
        self._metrics.failed_open.inc()
        self._show()
        return Held(tuple(self._taken(account) for account in reservation.accounts))

    def has(self, reservation_id: UUID) -> bool:
        """Whether it was let through and has not landed."""
        return reservation_id in self._opened

    def settle(self, row: Row) -> None:
        """How one of them ended; booked once it has landed."""
        self._ended[row.reservation_id] = row
        writing = asyncio.get_running_loop().create_task(self._write_end(row))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    async def idle(self) -> None:
        """Until every end is on disk."""
        while self._writing:
            await asyncio.wait(self._writing)

    async def _write_end(self, row: Row) -> None:
        try:
            await self._journal.keep(Ended(row))
        except OSError as error:
            _log.critical("an end is kept in memory only: %s", error)

    def _drawable(self, reservation: Reservation) -> list[_SetAside] | None:
        hard = [account for account in reservation.accounts if account.limit_nanousd is not None]
        if not hard or reservation.claim is not None:
            return None
        drawn = []
        for account in hard:
            found = self._set_aside.get(account.id)
            if found is None or found.left_nanousd < reservation.amount_nanousd:
                return None
            drawn.append(found)
        return drawn

    def _taken(self, account: Account) -> int:
        """What is left to callers is what is left of the allowance."""
        found = self._set_aside.get(account.id)
        return 0 if found is None else (account.limit_nanousd or 0) - found.left_nanousd

    # While both are there

    async def tick(self, wanted: Wanted) -> None:
        """Land what was let through, then set aside what budgets say now."""
        # A store that is away is what all of this is for.
        with contextlib.suppress(BooksUnavailableError, LedgerUnavailableError, OSError):
            await self._land()
            await self._return_what_is_not_wanted(wanted.accounts)
            await self._take_what_is_missing(wanted)
        self._show()

    async def _land(self) -> None:
        landing = list(self._opened)
        if not landing or not await self._generations.land([self._opened[id_] for id_ in landing]):
            return
        booked = [self._ended[id_] for id_ in landing if id_ in self._ended]
        if booked:
            await self._settling.book(booked)
        for row in booked:
            del self._ended[row.reservation_id]
        for id_ in landing:
            # What ended while the others were booked is booked in the next round.
            if id_ not in self._ended:
                del self._opened[id_]
        await self._compact()
        _log.warning("%d requests that were let through are in the ledger now", len(landing))

    async def _return_what_is_not_wanted(self, wanted: Sequence[Account]) -> None:
        sizes = {account.id: account.budget.open_up_to_nanousd for account in wanted}
        for id_, each in list(self._set_aside.items()):
            if sizes.get(id_) != each.held.amount_nanousd or not each.is_whole:
                del self._set_aside[id_]
                self._stale.append(each.held.id)
        drawn = {id_ for opened in self._opened.values() for id_ in opened.allowances}
        returned = [id_ for id_ in self._stale if id_ not in drawn]
        if returned:
            await self._settling.book([Row(id_, _RETURNED) for id_ in returned])
            self._stale = [id_ for id_ in self._stale if id_ in drawn]
            await self._compact()

    async def _take_what_is_missing(self, wanted: Wanted) -> None:
        missing = [account for account in wanted.accounts if account.id not in self._set_aside]
        if not missing or time.monotonic() < self._next_take:
            return
        self._next_take = time.monotonic() + _TAKE_EVERY_S
        for account in missing:
            allowance = _allowance(account, wanted.policy_version)
            # Before it is held, so that a crash in between leaves nothing that nobody returns.
            await self._journal.keep(Allowance(allowance.id))
            if isinstance(await self._reserve(allowance), Held):
                self._set_aside[account.id] = _SetAside(allowance)
        await self._compact()

    async def _compact(self) -> None:
        allowances = [*self._stale, *(each.held.id for each in self._set_aside.values())]
        await self._journal.rewrite(
            [
                *(Allowance(id_) for id_ in allowances),
                *self._opened.values(),
                *(Ended(row) for row in self._ended.values()),
            ]
        )

    def _show(self) -> None:
        left = sum(each.left_nanousd for each in self._set_aside.values())
        self._metrics.open_allowance.set(left)
        self._metrics.open_unlanded.set(len(self._opened))


def _new_id() -> UUID:
    return uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10))


def _plain(reservation: Reservation) -> Reservation:
    """As it is written down: nothing that Postgres does not take when it lands."""
    return replace(reservation, limits=[], claim=None, replaces=None, generation="open")


def _allowance(account: Account, policy_version: int) -> Reservation:
    id_ = _new_id()
    return Reservation(
        id=id_, decision_id=id_, attempt=1, reserved_at=datetime.now(UTC),
        amount_nanousd=account.budget.open_up_to_nanousd, estimated_nanousd=0,
        accounts=(account,), limits=[], provider="spendra", model="allowance",
        policy_version=policy_version, price_version="", facts="{}",
        dispatch_by=time.monotonic(),
    )  # fmt: skip
