"""A Postgres in memory that has the ledger's functions, by their meaning and with their locks.

Each function is one statement of one transaction and takes effect at one instant, as it does in
Postgres under the organization's lock; only a rebuild holds its transaction open. Rows have the
columns that money depends on.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

SHARED, EXCLUSIVE = "shared", "exclusive"
LOCKS = {
    "reserve": SHARED,
    "extend": SHARED,
    "give_up": EXCLUSIVE,
    "open_accounts": EXCLUSIVE,
    "raise_generation": EXCLUSIVE,
}
"""What each function takes of the organization's advisory lock, to the transaction's end."""
Record = dict[str, Any]
_WORST = ("posted", "lost")


@dataclass
class Row:
    """An open reservation."""

    reservation_id: UUID
    sidecar_id: str
    incarnation: str
    generation: str
    reserved_ms: int
    reserved_nanousd: int
    account_ids: list[str]
    state: str = "reserved"
    lost_at: float = 0.0
    extensions: int = 0


@dataclass(frozen=True)
class Event:
    """An ended one."""

    reservation_id: UUID
    outcome: str
    reason: str
    reserved_nanousd: int
    cost_nanousd: int
    account_ids: list[str]


@dataclass(eq=False)
class Session:
    """One connection. `lock` is what its open transaction holds."""

    epoch: int
    in_transaction: bool = False
    lock: str = ""
    generation: str | None = None
    """Written in the open transaction, seen by nobody else before the commit."""
    is_gone: bool = False


@dataclass
class PostgresModel:
    """One database with one organization."""

    now: Callable[[], float]
    generation: str | None = None
    opening: dict[str, int] = field(default_factory=dict)
    movements: list[tuple[str, int]] = field(default_factory=list)
    reservations: dict[UUID, Row] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    tombstones: set[UUID] = field(default_factory=set)
    leases: dict[str, tuple[str, float]] = field(default_factory=dict)
    held_entries_nanousd: int = 0
    spent_entries_nanousd: int = 0
    epoch: int = 0
    lost_money_is_released: bool = False
    """What an operator may decide about lost reservations, instead of the worst case."""
    holders: list[Session] = field(default_factory=list)
    waiting: "deque[tuple[Session, str, Callable[[], None]]]" = field(default_factory=deque)

    def restart(self) -> None:
        """What was committed stays; sessions, their transactions and their locks do not."""
        self.epoch += 1
        for session in self.holders:
            session.is_gone, session.generation, session.lock = True, None, ""
        self.holders.clear()
        self.waiting.clear()

    # Transactions and locks

    def lock(self, session: Session, wanted: str, run: Callable[[], None]) -> None:
        """Run under the lock, now or when its turn comes."""
        if session.lock in (wanted, EXCLUSIVE) or (not self.waiting and self._is_free(wanted)):
            self._grant(session, wanted)
            run()
        else:
            self.waiting.append((session, wanted, run))

    def unlock(self, session: Session) -> None:
        if session.lock:
            session.lock = ""
            self.holders.remove(session)
        while self.waiting and self._is_free(self.waiting[0][1]):
            waiter, wanted, run = self.waiting.popleft()
            if not waiter.is_gone:
                self._grant(waiter, wanted)
                run()

    def commit(self, session: Session) -> None:
        if session.generation is not None:
            self.generation, session.generation = session.generation, None
        session.in_transaction = False
        self.unlock(session)

    def rollback(self, session: Session) -> None:
        session.generation, session.in_transaction = None, False
        self.unlock(session)

    def _grant(self, session: Session, wanted: str) -> None:
        if not session.lock:
            session.lock = wanted
            self.holders.append(session)

    def _is_free(self, wanted: str) -> bool:
        return not self.holders or (wanted == SHARED and self.holders[0].lock == SHARED)

    # The functions of 0003_ledger_functions.sql, by name

    def reserve(self, session: Session, _: str, generation: str, *values: Any) -> Record:
        sidecar_id, incarnation, _, ids, _, _, reserved_at, amounts, _, accounts, *_ = values
        if generation != self.generation:
            return {"generation": self.generation, "is_frozen": False, "unwritten": None}
        for at, each in enumerate(ids):
            if each in self.tombstones or each in self.reservations:
                continue
            reserved_ms = int(reserved_at[at].timestamp() * 1000)
            self.insert(
                Row(each, sidecar_id, incarnation, generation, reserved_ms, amounts[at],
                    accounts[at].split(","))
            )  # fmt: skip
        unwritten = [each for each in ids if each not in self.reservations]
        return {"generation": self.generation, "is_frozen": False, "unwritten": unwritten}

    def insert(self, row: Row) -> None:
        self.reservations[row.reservation_id] = row
        self.held_entries_nanousd += row.reserved_nanousd

    def extend(
        self, session: Session, _: str, generation: str, each: UUID, number: int, more: int
    ) -> Record:
        row = self.reservations.get(each)
        if generation != self.generation:
            return {"generation": self.generation, "extended": None}
        if row and row.state == "reserved" and row.extensions == number - 1:
            row.reserved_nanousd += more
            row.extensions = number
            self.held_entries_nanousd += more
        is_done = bool(row and row.state == "reserved" and row.extensions >= number)
        return {"generation": self.generation, "extended": is_done}

    def settle(
        self, session: Session, _: str, ids: Any, outcomes: Any, reasons: Any, costs: Any, *__: Any
    ) -> list[Record]:
        answers = []
        for each, outcome, reason, cost in zip(ids, outcomes, reasons, costs, strict=True):
            row = self.reservations.pop(each, None)
            if row is not None:
                self.end(row, outcome, reason, cost)
            answers.append(self.first_outcome(each))
        return answers

    def end(self, row: Row, outcome: str, reason: str, cost: int) -> None:
        cost = cost if outcome == "posted" else 0
        self.events.append(
            Event(row.reservation_id, outcome, reason, row.reserved_nanousd, cost, row.account_ids)
        )
        self.held_entries_nanousd -= row.reserved_nanousd
        self.spent_entries_nanousd += cost
        self.movements.extend((account, cost) for account in row.account_ids)

    def first_outcome(self, each: UUID) -> Record:
        found = next((e for e in self.events if e.reservation_id == each), None)
        outcome, cost = (found.outcome, found.cost_nanousd) if found else ("unknown", None)
        return {"outcome": outcome, "cost_nanousd": cost, "reservation_id": each}

    def give_up(self, session: Session, org: str, each: UUID, reason: str = "") -> Record:
        self.tombstones.add(each)
        return self.settle(session, org, [each], ["voided"], [reason], [0])[0]

    def totals(self, accounts: list[str]) -> list[Record]:
        return [
            {
                "account_id": account,
                "settled_nanousd": self.opening[account]
                + sum(cost for moved, cost in self.movements if moved == account),
                "held_nanousd": sum(
                    row.reserved_nanousd
                    for row in self.reservations.values()
                    if account in row.account_ids
                ),
            }
            for account in accounts
            if account in self.opening
        ]

    def open_accounts(
        self, session: Session, _: str, generation: str, accounts: Any, *__: Any
    ) -> list[Record]:
        if generation != self.generation:
            return []
        for account in accounts:
            self.opening.setdefault(account, 0)
        return [
            total
            | {
                "reservations": [
                    row.reservation_id
                    for row in self.reservations.values()
                    if total["account_id"] in row.account_ids
                ]
            }
            for total in self.totals(list(accounts))
        ]

    def raise_generation(
        self, session: Session, _: str, expected: str | None, new: str, by: str
    ) -> str | None:
        if self.generation != expected:
            return self.generation
        session.generation = new
        return new

    def current_generation(self, session: Session, _: str) -> str | None:
        return self.generation

    def live_totals(self, session: Session, _: str) -> Record:
        """The whole statement of a rebuild: totals, open reservations, floor and freeze."""
        totals = [
            (each["account_id"], each["settled_nanousd"] + each["held_nanousd"],
             each["settled_nanousd"])
            for each in self.totals(list(self.opening))
        ]  # fmt: skip
        holds = [
            (row.reservation_id, row.reserved_nanousd, row.reserved_ms, row.extensions, "",
             row.account_ids)
            for row in self.reservations.values()
        ]  # fmt: skip
        encoded = [msgspec.json.encode(rows).decode() for rows in (totals, holds)]
        return {"totals": encoded[0], "holds": encoded[1], "version": 0, "is_frozen": False}

    def is_frozen(self, session: Session, _: str) -> bool:
        return False

    def record_refusals(self, session: Session, *_: Any) -> None:
        pass

    def renew_lease(
        self, session: Session, _: str, sidecar: str, incarnation: str, s: float
    ) -> None:
        self.leases[sidecar] = (incarnation, self.now() + s)

    def release_lease(self, session: Session, _: str, sidecar: str, incarnation: str) -> None:
        if self.leases.get(sidecar, ("", 0))[0] == incarnation:
            self.leases[sidecar] = (incarnation, self.now())

    def label_lost(self, session: Session, _: str) -> int:
        lost = 0
        for row in self.reservations.values():
            incarnation, expires = self.leases.get(row.sidecar_id, ("", 0.0))
            is_orphan = expires < self.now() or incarnation != row.incarnation
            if row.state == "reserved" and is_orphan:
                row.state, row.lost_at = "lost", self.now()
                lost += 1
        return lost

    def post_lost(self, session: Session, _: str, after_s: float, *__: Any) -> int:
        due = [
            row
            for row in self.reservations.values()
            if row.state == "lost" and row.lost_at < self.now() - after_s
        ]
        for row in due:
            del self.reservations[row.reservation_id]
            outcome, reason = ("voided", "released") if self.lost_money_is_released else _WORST
            self.end(row, outcome, reason, row.reserved_nanousd)
        return len(due)
