"""Between processes and stores: connections that delay, lose and cut, as the seed says."""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import asyncpg
import hiredis

from tests.simulation.loop import Loop, Process, current_process
from tests.simulation.postgres_model import LOCKS, PostgresModel, Session
from tests.simulation.redis_model import RedisModel, encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_FATES = ("swallowed", "cut_before", "cut_within", "reply_lost", "reply_late", "request_late")
_LATE_S = 3.0
_FUNCTION = re.compile(r"spendra\.(\w+)\(")


class UnknownStatementError(AssertionError):
    """The model of Postgres has no such statement: teach it in tests/simulation."""


@dataclass
class Network:
    """`trouble` is the share of messages that something happens to."""

    loop: Loop
    random: Random
    postgres: PostgresModel
    redis_of: Callable[[Process], RedisModel]
    changed: Callable[[], None]
    """Called after each change in a store."""
    trouble: float = 0.0
    note: Callable[[str], None] = lambda _: None
    held_again: Callable[[list[str], Any], None] = lambda _, __: None
    redis_back_at: float = 0.0
    postgres_back_at: float = 0.0
    slow_disk_s: float = 0.0
    """The longest that the commit of a transaction of several statements takes."""

    def fate(self) -> str:
        if self.random.random() >= self.trouble:
            return "delivered"
        return _FATES[int(self.random.random() * len(_FATES))]

    def delay_s(self) -> float:
        return self.random.random() * 0.004

    def late_s(self) -> float:
        return self.random.random() * _LATE_S

    async def connect_redis(self, factory: Any, *_: Any) -> tuple[Any, Any]:
        process = current_process()
        await asyncio.sleep(self.delay_s())
        server = self.redis_of(process)
        if self.loop.time() < self.redis_back_at and self.random.random() < 0.5:
            msg = "refused"
            raise ConnectionRefusedError(msg)
        protocol = factory()
        transport = RedisTransport(self, process, server, protocol)
        protocol.connection_made(transport)
        return transport, protocol

    async def connect_postgres(self, *_: Any, command_timeout: float, **__: Any) -> "Connection":
        process = current_process()
        await asyncio.sleep(self.delay_s())
        if self.loop.time() < self.postgres_back_at:
            msg = "refused"
            raise ConnectionRefusedError(msg)
        return Connection(self, process, command_timeout)


class RedisTransport(asyncio.WriteTransport):
    """One connection to one server. Bytes sent arrive even if the sender is gone by then."""

    def __init__(
        self, network: Network, process: Process, server: RedisModel, protocol: Any
    ) -> None:
        super().__init__()
        self._network, self._process, self._server = network, process, server
        self._protocol = protocol
        self._epoch = server.epoch
        self._reader = hiredis.Reader(encoding="utf-8")
        self._clear_at = 0.0
        self._replied_at = 0.0
        self._queue: deque[tuple[list[list[str]], str]] = deque()
        self._is_working = False
        self._is_swallowed = False
        self._is_closing = False

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._network.loop.call_soon(
                self._protocol.connection_lost, None, context=self._process.context
            )

    def write(self, data: Any) -> None:
        self._reader.feed(data)
        commands = []
        while (command := self._reader.gets()) is not False:
            commands.append(command)
        net, fate = self._network, self._network.fate()
        if self._is_swallowed or fate == "swallowed":
            self._is_swallowed = True
            return
        at = max(net.loop.time() + net.delay_s(), self._clear_at, net.redis_back_at)
        if fate == "request_late":
            at += net.late_s()
        self._clear_at = at
        self._at(at, self._arrive, commands, fate)

    def _arrive(self, commands: list[list[str]], fate: str) -> None:
        self._queue.append((commands, fate))
        if not self._is_working:
            self._next()

    def _next(self) -> None:
        """The server takes one pipeline after the other."""
        self._is_working = bool(self._queue)
        if not self._queue:
            return
        net, (commands, fate) = self._network, self._queue.popleft()
        if fate == "cut_before":
            self._cut()
        elif fate == "cut_within":
            self._work(commands[: int(net.random.random() * len(commands))], [], fate)
        else:
            self._work(commands, [], fate)

    def _work(self, commands: list[list[str]], answers: list[Any], fate: str) -> None:
        """Others may get a word in between the commands of a pipeline."""
        net = self._network
        if self._epoch != self._server.epoch:
            self._cut()
            return
        rest = deque(commands)
        while rest:
            answers.append(self._execute(rest.popleft()))
            if rest and net.random.random() < 0.2:
                at = net.loop.time() + net.delay_s() / 2
                self._at(at, self._work, list(rest), answers, fate)
                return
        self._reply(answers, fate)
        self._next()

    def _execute(self, command: list[str]) -> Any:
        answer = self._server.execute(command)
        self._network.held_again(command, answer)
        self._network.note(f"{self._process.name} redis {shown(command)} -> {answer}")
        self._network.changed()
        return answer

    def _reply(self, answers: list[Any], fate: str) -> None:
        if fate in ("cut_within", "reply_lost"):
            self._cut()
            return
        net = self._network
        delay = net.late_s() if fate == "reply_late" else net.delay_s()
        at = self._replied_at = max(self._replied_at, net.loop.time() + delay)
        net.loop.call_at(at, self._deliver, encode(answers), context=self._process.context)

    def _deliver(self, data: bytes) -> None:
        if not self._is_closing:
            self._protocol.data_received(data)

    def _cut(self) -> None:
        self._network.loop.call_soon(self.close, context=self._process.context)

    def _at(self, when: float, callback: Callable[..., None], *args: Any) -> None:
        net = self._network
        net.loop.call_at(when, callback, *args, context=net.loop.outside.context)


class Record(dict[str, Any]):
    """A row: by name, and unpacked by position."""

    def __iter__(self) -> Any:
        return iter(self.values())


class Connection:
    """What Books uses of an asyncpg connection."""

    def __init__(self, network: Network, process: Process, timeout_s: float) -> None:
        self._network, self._process, self._timeout_s = network, process, timeout_s
        self._session = Session(network.postgres.epoch)
        self._clear_at = 0.0
        self._is_closed = False
        process.connections.append(self)

    def is_closed(self) -> bool:
        return self._is_closed

    def terminate(self) -> None:
        """The server notices when the news arrives, after what was sent before."""
        if not self._is_closed:
            self._is_closed = True
            at = max(self._network.loop.time() + self._network.delay_s(), self._clear_at)
            self._at(at, self._end_session)

    async def close(self, **_: Any) -> None:
        self.terminate()

    @asynccontextmanager
    async def transaction(self, **_: Any) -> "AsyncIterator[None]":
        await self._ask("BEGIN", ())
        try:
            yield
        except BaseException:
            if not self._is_closed:
                await self._ask("ROLLBACK", ())
            raise
        await self._ask("COMMIT", ())

    async def fetchval(self, sql: str, *args: Any) -> Any:
        answer = await self._ask(sql, args)
        return next(iter(answer.values())) if isinstance(answer, dict) else answer

    async def fetchrow(self, sql: str, *args: Any) -> Any:
        answer = await self._ask(sql, args)
        return Record(answer) if isinstance(answer, dict) else answer

    async def fetch(self, sql: str, *args: Any) -> Any:
        return await self._ask(sql, args)

    execute = fetchval

    async def _ask(self, sql: str, args: tuple[Any, ...]) -> Any:
        if self._is_closed:
            msg = "connection is closed"
            raise asyncpg.InterfaceError(msg)
        net, fate = self._network, self._network.fate()
        future: asyncio.Future[Any] = net.loop.create_future()
        if fate != "swallowed":
            at = max(net.loop.time() + net.delay_s(), self._clear_at, net.postgres_back_at)
            at += net.late_s() if fate == "request_late" else 0
            at += net.random.random() * net.slow_disk_s if sql == "COMMIT" else 0
            self._clear_at = at
            self._at(at, self._arrive, sql, args, future, fate)
        async with asyncio.timeout(self._timeout_s):
            return await future

    def _arrive(self, sql: str, args: tuple[Any, ...], future: Any, fate: str) -> None:
        postgres, session = self._network.postgres, self._session
        if session.epoch != postgres.epoch or session.is_gone or fate == "cut_before":
            self._end_session()
            self._fail(future, ConnectionResetError("cut"))
            return
        if fate == "cut_within":
            postgres.rollback(session)
            self._fail(future, asyncpg.DeadlockDetectedError("deadlock detected"))
            return
        name = _function(sql)
        run = lambda: self._run(name, sql, args, future, fate)  # noqa: E731
        wanted = LOCKS.get(name)
        if wanted is None:
            run()
        else:
            postgres.lock(session, wanted, run)

    def _run(self, name: str, sql: str, args: tuple[Any, ...], future: Any, fate: str) -> None:
        net, session = self._network, self._session
        answer = _perform(net.postgres, session, name, sql, args)
        net.note(f"{self._process.name} postgres {name or sql} {fate} {args[1:]} -> {answer}")
        if not session.in_transaction and session.lock:
            net.postgres.commit(session)
        net.changed()
        if fate == "reply_lost":
            self._end_session()
            self._fail(future, ConnectionResetError("cut"))
            return
        at = net.loop.time() + (net.late_s() if fate == "reply_late" else net.delay_s())
        net.loop.call_at(at, _answer, future, answer, context=self._process.context)

    def _fail(self, future: Any, error: Exception) -> None:
        def fail() -> None:
            if not future.done():
                future.set_exception(error)

        self._network.loop.call_soon(fail, context=self._process.context)

    def _end_session(self) -> None:
        self._is_closed = True
        if not self._session.is_gone:
            self._session.is_gone = True
            if self._session.epoch == self._network.postgres.epoch:
                self._network.postgres.rollback(self._session)

    def _at(self, when: float, callback: Callable[..., None], *args: Any) -> None:
        loop = self._network.loop
        loop.call_at(when, callback, *args, context=loop.outside.context)


def shown(command: list[str]) -> str:
    """A command without what a reader does not look for."""
    if command[0] != "EVALSHA":
        return " ".join(command)[:80]
    count = int(command[2])
    return f"script under {command[3]}: {command[3 + count :]}"


def _answer(future: Any, answer: Any) -> None:
    if not future.done():
        future.set_result(answer)


def _function(sql: str) -> str:
    found = _FUNCTION.search(sql)
    return found[1] if found else ""


def _perform(
    postgres: PostgresModel, session: Session, name: str, sql: str, args: tuple[Any, ...]
) -> Any:
    if sql == "BEGIN":
        session.in_transaction = True
    elif sql == "COMMIT":
        postgres.commit(session)
    elif sql == "ROLLBACK":
        postgres.rollback(session)
    elif name and hasattr(postgres, name):
        return getattr(postgres, name)(session, *args)
    elif "EXISTS (SELECT FROM spendra.reservations" in sql:
        return args[1] in postgres.reservations
    elif sql.startswith("SELECT cost_nanousd FROM spendra.spend_events"):
        return postgres.first_outcome(args[1])["cost_nanousd"]
    else:
        raise UnknownStatementError(sql)
    return None
