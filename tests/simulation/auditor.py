"""The simulation's auditor: LEDGER invariants from rows and hashes, sharing nothing with the code.

Numbers are those of docs/ledger.md's invariants.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from spendra.balances import keys, script
from spendra_sidecar.ledger.words import Exhausted, Reservation
from tests.simulation.postgres_model import PostgresModel
from tests.simulation.redis_model import RedisModel

_ORG = "org_1"


class AuditError(AssertionError):
    """Something that must hold does not."""


class Billed(NamedTuple):
    """What the provider charges, and the most it may."""

    reservation_id: UUID
    nanousd: int
    bound_nanousd: int


@dataclass
class Auditor:
    postgres: PostgresModel
    limits: dict[str, int]
    stop: Callable[[AuditError], None]
    """Ends the schedule: what it is called from may be a task that nobody waits for."""
    bills: dict[UUID, Billed] = field(default_factory=dict)
    excess: Counter[str] = field(default_factory=Counter)
    """What late copies of holds may have left in Redis, by account: see `held_again`."""

    def fail(self, what: str, subject: object) -> None:
        error = AuditError(f"{what}: {subject}")
        self.stop(error)
        raise error

    def look(self, redis: RedisModel) -> None:
        """What holds at every instant."""
        taken = self._taken()
        for account, limit in self.limits.items():
            if taken[account] > limit:
                self.fail("1: settled + held above the limit", (account, taken[account], limit))
        ended = [event.reservation_id for event in self.postgres.events]
        if len(set(ended)) != len(ended):
            self.fail("3: two outcomes", ended)
        if set(ended) & self.postgres.reservations.keys():
            self.fail("3: open and ended", set(ended) & self.postgres.reservations.keys())
        held = sum(row.reserved_nanousd for row in self.postgres.reservations.values())
        if held != self.postgres.held_entries_nanousd:
            self.fail("7: entries differ from what is held", held)
        self._against(redis, taken)

    def held_again(self, command: list[str], answer: Any) -> None:
        """A copy of a reserve that a dead connection delivered after the end of its reservation.

        The worker cannot tell its hold from one whose move is missing, and moves it again: Redis
        then shows too much, never too little, until the next rebuild or repair.
        """
        if isinstance(answer, list) and answer[0] == "HELD" and len(command) > 14:
            identity = command[3 + int(command[2])]
            for event in self.postgres.events:
                if str(event.reservation_id) == identity:
                    self.excess.update(dict.fromkeys(event.account_ids, event.cost_nanousd))

    def answered(self, verdict: object, wanted: Reservation) -> None:
        """5: who is refused was truly refused for want of room."""
        if isinstance(verdict, Exhausted):
            if verdict.taken_nanousd + wanted.amount_nanousd <= verdict.limit_nanousd:
                self.fail("5: refused though it fits", verdict)
            if wanted.id in self.postgres.reservations:
                self.fail("5: refused and durable", wanted.id)

    def left(self, sent: Reservation, bill: Billed) -> None:
        """4: nothing leaves without a durable reservation as large as its bound."""
        row = self.postgres.reservations.get(sent.id)
        event = next((e for e in self.postgres.events if e.reservation_id == sent.id), None)
        counted = row.reserved_nanousd if row else event.cost_nanousd if event else 0
        if counted < bill.bound_nanousd:
            self.fail("4: left without a durable reservation of its bound", bill)
        self.bills[sent.id] = bill

    def at_rest(self, redis: RedisModel) -> None:
        """What holds when everything is healed and nothing is under way."""
        self.look(redis)
        if self.postgres.reservations:
            self.fail("6: still held", list(self.postgres.reservations.values()))
        costs = {event.reservation_id: event.cost_nanousd for event in self.postgres.events}
        # An operator who releases lost money answers for what had left before.
        released = {e.reservation_id for e in self.postgres.events if e.reason == "released"}
        for bill in self.bills.values():
            if bill.reservation_id not in released and bill.nanousd > costs.get(
                bill.reservation_id, 0
            ):
                self.fail("1: billed above what is booked", bill)
        if sum(costs.values()) != self.postgres.spent_entries_nanousd:
            self.fail("7: entries differ from events", costs)
        settled = self._settled()
        names = keys(_ORG, self.postgres.generation or "")
        live, spent = self._hash(redis, names.taken), self._hash(redis, names.settled)
        for account, taken in live.items():
            shown = int(spent.get(account, 0))
            is_exact = int(taken) == settled[account] == shown
            is_excess = settled[account] < shown <= settled[account] + self.excess[account]
            if not is_exact and not (is_excess and int(taken) == shown):
                figures = (account, taken, spent.get(account), settled[account])
                self.fail("2: balances differ from the books at rest", figures)
        if self._hash(redis, names.records):
            self.fail("6: a hold is left in Redis", redis.data[names.records])

    def _against(self, redis: RedisModel, taken: Counter[str]) -> None:
        """2: a Redis that can answer under the current generation is never below the books."""
        generation = self.postgres.generation
        if generation is None or script("reserve", generation).sha1 not in redis.scripts:
            return
        names = keys(_ORG, generation)
        if redis.data.get(names.generation) != generation:
            return
        for account, shown in self._hash(redis, names.taken).items():
            if int(shown) < taken[account]:
                self.fail("2: Redis below Postgres", (account, shown, taken[account]))

    def _settled(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for event in self.postgres.events:
            for account in event.account_ids:
                found[account] += event.cost_nanousd
        return found

    def _taken(self) -> Counter[str]:
        found = self._settled()
        for row in self.postgres.reservations.values():
            for account in row.account_ids:
                found[account] += row.reserved_nanousd
        return found

    @staticmethod
    def _hash(redis: RedisModel, key: str) -> dict[str, Any]:
        found = redis.data.get(key, {})
        return found if isinstance(found, dict) else {}
