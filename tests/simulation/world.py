"""One schedule: sidecars, callers, a worker and two stores, hurt as the seed says, then healed."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest import mock
from uuid import UUID

from spendra.periods import FOREVER_S
from spendra.snapshot import BudgetRecord
from spendra_control_plane.stores.postgres import StoreError
from spendra_control_plane.worker import sweep
from spendra_control_plane.worker.holds import HoldError
from spendra_sidecar.ledger import books as books_module
from spendra_sidecar.ledger import clock, generations, journal, outages
from spendra_sidecar.ledger.balances import Balances
from spendra_sidecar.ledger.books import Books, BooksUnavailableError
from spendra_sidecar.ledger.journal import Journal
from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.ledger.words import (
    Account,
    Held,
    LedgerUnavailableError,
    Outcome,
    Reservation,
    Tokens,
)
from spendra_sidecar.metrics import Metrics
from tests.simulation.auditor import Auditor, Billed
from tests.simulation.disk import OS, Disk
from tests.simulation.loop import Loop, Process, current_process
from tests.simulation.network import Connection, Network
from tests.simulation.postgres_model import PostgresModel
from tests.simulation.redis_client import RedisClient
from tests.simulation.redis_model import RedisModel

ORG = "org_1"
EPOCH_MS = 1_700_000_000_000
TIMEOUT_S = 0.5
LEASE_S = 6
LOST_AFTER_S = 4
"""At its hardest: no time is left between lost and posted but what the lease gives."""
_HORIZON_S = 8.0
_METRICS = Metrics()


@dataclass
class Sidecar:
    """One process, from its start to its end."""

    process: Process
    ledger: Ledger
    books: Books
    balances: Balances
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)


class World:
    """Everything of one seed."""

    deadline_is_checked = True

    def __init__(self, seed: int, *, is_traced: bool = False) -> None:
        self.random = Random(seed)
        self.loop = Loop(self.random)
        self.wall_offset_ms = self.random.choice((0, 0, 3_600_000, -3_600_000))
        self.redis = RedisModel(self._redis_ms)
        self.behind: RedisModel | None = None
        """The old primary, while some still reach it."""
        self.cut_off: set[str] = set()
        self.quiet_at = 0.0
        self.dump: dict[str, Any] = {}
        self.postgres = PostgresModel(self.loop.time)
        self.postgres.lost_money_is_released = self.random.random() < 0.3
        self.disk = Disk()
        self.sidecars: list[Sidecar] = []
        self.serial = 0
        self.accounts = [
            _account("bud_a", self.random.randint(6, 14)),
            _account("bud_b", self.random.randint(4, 10)),
        ]
        limits = {each.id: each.limit_nanousd or 0 for each in self.accounts}
        self.auditor = Auditor(self.postgres, limits, self.loop.stop_at)
        self.network = Network(self.loop, self.random, self.postgres, self._redis_of, self._changed)
        self.network.held_again = self.auditor.held_again
        if is_traced:
            self.network.note = self.note
        self.loop.connect = self.network.connect_redis
        self.admitted = self.refused = self.unavailable = 0
        self.events: list[str] = []

    def run(self) -> None:
        """Raises AuditError with what does not hold."""
        with simulated(self):
            self.loop.run(self._live())

    def note(self, what: str) -> None:
        """For whoever reads a failing schedule."""
        self.events.append(f"{self.loop.time() - 1000:.4f} {what}")

    # The life of the world

    async def _live(self) -> None:
        random = self.random
        for number in range(random.randint(1, 3)):
            self._start(f"sidecar-{number}")
        self.network.trouble = random.choice((0.0, 0.0, 0.02, 0.1, 0.25))
        self.network.slow_disk_s = random.choice((0.0, 0.0, 0.4))
        begun = self.loop.time()
        plan = [(random.random() * _HORIZON_S, self._call) for _ in range(random.randint(2, 7))]
        faults = random.sample(self._faults(), random.randint(0, 3))
        plan += [(random.random() * _HORIZON_S, fault) for fault in faults]
        plan += [(random.random() * _HORIZON_S, self._work) for _ in range(random.randint(0, 2))]
        for at, act in sorted(plan, key=lambda each: each[0]):
            await asyncio.sleep(max(0.0, begun + at - self.loop.time()))
            self.note(act.__name__)
            act()
        await asyncio.sleep(max(random.random() * 3, self.quiet_at - self.loop.time()))
        await self._heal()
        self.auditor.at_rest(self.redis)

    async def _heal(self) -> None:
        """Faults end, everybody is back, and what waits lands."""
        self.note("heal")
        self.network.trouble = self.network.slow_disk_s = 0.0
        self.network.redis_back_at = self.network.postgres_back_at = 0.0
        self.redis.is_full = False
        self.cut_off.clear()
        if self.behind is not None:
            self.behind.epoch += 1
        for sidecar in self.sidecars:
            self.loop.resume(sidecar.process)
        for sidecar in [s for s in self.sidecars if s.process.is_dead]:
            self._restart(sidecar)
        await asyncio.sleep(6.0)
        for sidecar in self.sidecars:
            await self._drained(sidecar)
        for _ in range(2):
            await asyncio.sleep(11.0)
            await self._sweep()
        for sidecar in self.sidecars:
            await self._probe(sidecar)

    async def _drained(self, sidecar: Sidecar) -> None:
        task = self.loop.create_task(sidecar.ledger.drain(), context=sidecar.process.context)
        async with asyncio.timeout(60):
            await task

    async def _probe(self, sidecar: Sidecar) -> None:
        """Whoever is healed answers; the first answers may still be late news."""
        for _ in range(6):
            if await self._once(sidecar, 1, self.accounts[:1], is_probe=True) != "unavailable":
                break
            await asyncio.sleep(1.5)
        else:
            self.auditor.fail("a healed sidecar still refuses", sidecar.process.name)
        await self._drained(sidecar)

    # Sidecars

    def _start(self, name: str) -> Sidecar:
        process = Process(name)
        process.wall_offset_ms = self.random.choice((0, 3_600_000, -3_600_000))
        sidecar = process.context.run(self._compose, process)
        self.sidecars.append(sidecar)
        return sidecar

    def _compose(self, process: Process) -> Sidecar:
        """As main.py puts a sidecar together."""
        balances = Balances("redis://redis:1", ORG, TIMEOUT_S)
        books = Books("postgres", ORG, process.name, TIMEOUT_S)
        kept = Journal(self.disk.path(process.name))  # type: ignore[arg-type]
        ledger = Ledger(balances, books, kept, _METRICS)
        sidecar = Sidecar(process, ledger, books, balances)
        self._spawn(sidecar, ledger.warm())
        self._spawn(sidecar, ledger.replay())
        self._spawn(sidecar, self._keep_lease(books))
        return sidecar

    def _spawn(self, sidecar: Sidecar, work: Any) -> asyncio.Task[Any]:
        task = self.loop.create_task(work, context=sidecar.process.context)
        sidecar.tasks.append(task)
        return task

    async def _keep_lease(self, books: Books) -> None:
        while True:
            with contextlib.suppress(BooksUnavailableError):
                await books.renew_lease(LEASE_S)
            await asyncio.sleep(LEASE_S / 3)

    def _kill(self, sidecar: Sidecar) -> None:
        """As kill -9: the kernel closes its connections, and nothing of it runs again."""
        process = sidecar.process
        process.is_dead = True
        for connection in process.connections:
            connection.terminate()

    def _restart(self, sidecar: Sidecar) -> None:
        self.sidecars.remove(sidecar)
        self._start(sidecar.process.name)

    # Callers

    def _call(self) -> None:
        alive = [s for s in self.sidecars if not s.process.is_dead]
        if not alive:
            return
        sidecar = self.random.choice(alive)
        accounts = self.random.choice((self.accounts, self.accounts, self.accounts[:1]))
        task = self._spawn(sidecar, self._once(sidecar, self.random.randint(1, 4), accounts))
        if self.random.random() < 0.15:
            self.loop.call_later(self.random.random() * 0.2, task.cancel)

    async def _once(
        self, sidecar: Sidecar, amount: int, accounts: list[Account], *, is_probe: bool = False
    ) -> str:
        """As the gateway treats one request: reserve, forward, settle whatever happens."""
        wanted = self._reservation(sidecar, amount, accounts)
        try:
            verdict = await sidecar.ledger.reserve(wanted)
        except LedgerUnavailableError:
            self.unavailable += 1
            return "unavailable"
        self.auditor.answered(verdict, wanted)
        if not isinstance(verdict, Held):
            self.refused += 1
            return "refused"
        self.admitted += 1
        end = _outcome("voided", "not_sent", 0)
        try:
            # A process can be put to sleep between any two instructions.
            await asyncio.sleep(self.random.random() * 0.01)
            if self.loop.time() > wanted.dispatch_by and self.deadline_is_checked:
                return "late"
            end = _outcome("posted", "caller_left", wanted.amount_nanousd)
            cost = self.random.randint(0, wanted.amount_nanousd)
            self.auditor.left(wanted, Billed(wanted.id, cost, wanted.amount_nanousd))
            await asyncio.sleep(self.random.random() * (0.1 if is_probe else 2.0))
            cost = await self._maybe_extended(sidecar, wanted, cost)
            end = _outcome("posted", "completed", cost)
        finally:
            sidecar.ledger.settle(wanted, end)
        return "done"

    async def _maybe_extended(self, sidecar: Sidecar, held: Reservation, cost: int) -> int:
        """An answer that wants to go on: more is held, and then more may be billed."""
        if self.random.random() > 0.15:
            return cost
        try:
            answer = await sidecar.ledger.extend(held, 1, 1)
        except LedgerUnavailableError:
            return cost
        if not isinstance(answer, Held):
            return cost
        self.auditor.left(held, Billed(held.id, cost + 1, held.amount_nanousd))
        return cost + 1

    def _reservation(self, sidecar: Sidecar, amount: int, accounts: list[Account]) -> Reservation:
        self.serial += 1
        identity = UUID(int=self.serial)
        now = datetime.fromtimestamp(sidecar.ledger.now_ms() / 1000, UTC)
        return Reservation(
            id=identity, decision_id=identity, attempt=1, reserved_at=now, amount_nanousd=amount,
            estimated_nanousd=amount, accounts=tuple(accounts), limits=[], provider="openai",
            model="m", policy_version=1, price_version="1", facts="{}",
            dispatch_by=self.loop.time() + LEASE_S,
        )  # fmt: skip

    # The worker

    def _work(self) -> None:
        self.loop.create_task(self._sweep(), context=self.loop.outside.context)

    async def _sweep(self) -> None:
        """The worker's real steps; a store that is away is tried again in the next round."""
        pool = Pool(self.network, self.loop.outside)
        client: Any = RedisClient(self.network)
        with contextlib.suppress(*StoreError, *HoldError):
            await sweep.label_lost(pool, ORG)  # type: ignore[arg-type]
            await sweep.post_lost(pool, ORG, LOST_AFTER_S)  # type: ignore[arg-type]
            await sweep.reconcile(pool, client, ORG)  # type: ignore[arg-type]

    # What can happen

    def _faults(self) -> list[Any]:
        return [
            self._sidecar_dies, self._sidecar_dies, self._sidecar_sleeps,
            self._sidecar_sleeps_on_a_request, self._redis_empty,
            self._redis_old_dump, self._redis_flushed, self._redis_failover, self._redis_stops,
            self._redis_full, self._postgres_restarts, self._postgres_stops,
        ]  # fmt: skip

    def _sidecar_dies(self) -> None:
        sidecar = self.random.choice(self.sidecars)
        self._kill(sidecar)
        if self.random.random() < 0.7:
            self.loop.call_later(self.random.random(), self._back, sidecar)

    def _back(self, sidecar: Sidecar) -> None:
        if sidecar in self.sidecars:
            self._restart(sidecar)

    def _sidecar_sleeps(self) -> None:
        process = self.random.choice(self.sidecars).process
        process.is_paused = True
        self.loop.call_later(self.random.random() * 3 * LEASE_S, self.loop.resume, process)

    def _sidecar_sleeps_on_a_request(self) -> None:
        """Between its durable write and its departure, for longer than its lease."""
        sidecar = self.random.choice(self.sidecars)
        self._spawn(sidecar, self._once(sidecar, 2, self.accounts[:1]))
        self.loop.call_later(self.random.random() * 0.02, self._pause, sidecar.process)
        for after_s in (LEASE_S + 1, LEASE_S + LOST_AFTER_S + 2):
            self.loop.call_later(after_s, self._work)
        self.quiet_at = self.loop.time() + 2 * LEASE_S + LOST_AFTER_S

    @staticmethod
    def _pause(process: Process) -> None:
        process.is_paused = True

    def _redis_empty(self) -> None:
        self.redis.restart()
        self.network.redis_back_at = self.loop.time() + self.random.random()

    def _redis_old_dump(self) -> None:
        """The dump was taken some time ago; scripts are in none."""
        self.redis.restart(self.dump)

    def _redis_flushed(self) -> None:
        self.redis.data = {}

    def _redis_failover(self) -> None:
        """A replica that lags takes over, and some go on with the old primary for a while."""
        old, new = self.redis, RedisModel(self._redis_ms)
        new.data = old.dump() if self.random.random() < 0.5 else self.dump
        self.redis, self.behind = new, old
        self.cut_off = {s.process.name for s in self.sidecars if self.random.random() < 0.5}
        if not self.cut_off:
            old.epoch += 1

    def _redis_stops(self) -> None:
        self.network.redis_back_at = self.loop.time() + self.random.random() * 3

    def _redis_full(self) -> None:
        self.redis.is_full = True
        server = self.redis
        self.loop.call_later(self.random.random() * 2, _empty_memory, server)

    def _postgres_restarts(self) -> None:
        self.postgres.restart()
        self.network.postgres_back_at = self.loop.time() + self.random.random()

    def _postgres_stops(self) -> None:
        self.network.postgres_back_at = self.loop.time() + self.random.random() * 3

    # What the parts ask of the world

    def _redis_ms(self) -> int:
        return EPOCH_MS + int(self.loop.time() * 1000) + self.wall_offset_ms

    def _redis_of(self, process: Process) -> RedisModel:
        if self.behind is not None and process.name in self.cut_off:
            return self.behind
        return self.redis

    def _changed(self) -> None:
        if self.random.random() < 0.05:
            self.dump = self.redis.dump()
        self.auditor.look(self.redis)


class Pool:
    """What the worker uses of an asyncpg pool."""

    def __init__(self, network: Network, process: Process) -> None:
        self._connection = Connection(network, process, TIMEOUT_S)
        self.fetchval = self._connection.fetchval
        self.fetch = self._connection.fetch
        self.execute = self._connection.execute

    @contextlib.asynccontextmanager
    async def acquire(self) -> Any:
        yield self._connection


def _empty_memory(server: RedisModel) -> None:
    server.is_full = False


def _account(name: str, limit: int) -> Account:
    budget = BudgetRecord(
        id=name, name=name, selector={}, period="none", timezone="UTC", limit_nanousd=limit,
        kind="hard", version=1,
    )  # fmt: skip
    return Account(f"{name}@0", budget, limit, f"1:{limit}", 0, FOREVER_S)


def _outcome(outcome: str, reason: str, cost: int) -> Outcome:
    return Outcome(outcome, reason, cost, "m", 200, "reported", Tokens(), "1")


@contextlib.contextmanager
def simulated(world: World) -> Iterator[None]:
    """Clocks, random names, the disk and the way to Postgres are the world's."""
    serial = iter(range(10**9))
    names = SimpleNamespace(token_hex=lambda _: f"g{next(serial)}")
    loop = world.loop
    time = SimpleNamespace(
        monotonic=loop.time,
        time_ns=lambda: (
            (EPOCH_MS + int(loop.time() * 1000) + current_process().wall_offset_ms) * 1_000_000
        ),
    )
    with contextlib.ExitStack() as stack:
        for module in (generations, outages, clock):
            stack.enter_context(mock.patch.object(module, "time", time))
        for module in (generations, books_module):
            stack.enter_context(mock.patch.object(module, "secrets", names))
        stack.enter_context(mock.patch.object(journal, "os", OS))
        connect = world.network.connect_postgres
        stack.enter_context(mock.patch.object(books_module.asyncpg, "connect", connect))
        previous = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        stack.callback(logging.disable, previous)
        yield
