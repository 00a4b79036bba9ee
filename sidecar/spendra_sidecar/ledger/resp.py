"""One connection to Redis or Valkey: groups of commands out, their replies back, in order.

Bare asyncio under the hiredis parser: at one caller this is where a client library's layers
would show, in latency and in memory.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import hiredis

Command = tuple[str | bytes | int | float | memoryview, ...]
_DEFAULT_PORT = 6379


class RespError(Exception):
    """No answer: not connected, disconnected, or too late. Whether it acted is not known."""


class ReplyError(Exception):
    """The server's own error, such as `NOSCRIPT ...`; an element of the replies, not raised."""


class Resp:
    """Connects when first used, and again after it lost its connection."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = urlsplit(url)
        self._timeout_s = timeout_s
        self._wire: _Wire | None = None
        self._connecting = asyncio.Lock()

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """One round trip; a reply for each command. Raises RespError."""
        wire = self._wire
        try:
            async with asyncio.timeout(self._timeout_s):
                if wire is None or wire.is_closed():
                    wire = await self._connect()
                return await wire.send(commands)
        except (OSError, TimeoutError) as error:
            if wire is not None:
                # What was asked on it must not be answered to another.
                wire.close()
            raise RespError(str(error) or "no answer in time") from error

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()

    async def _connect(self) -> "_Wire":
        async with self._connecting:
            if self._wire is None or self._wire.is_closed():
                wire = await self._open()
                for reply in await wire.send(self._greeting()):
                    if isinstance(reply, ReplyError):
                        wire.close()
                        raise RespError(str(reply))
                self._wire = wire
            return self._wire

    async def _open(self) -> "_Wire":
        loop, url = asyncio.get_running_loop(), self._url
        if url.scheme == "unix":
            _, wire = await loop.create_unix_connection(_Wire, url.path)
            return wire
        context = ssl.create_default_context() if url.scheme == "rediss" else None
        port = url.port or _DEFAULT_PORT
        _, wire = await loop.create_connection(
            _Wire, url.hostname or "localhost", port, ssl=context
        )
        return wire

    def _greeting(self) -> list[Command]:
        url, greeting = self._url, list[Command]()
        if url.password:
            user = (unquote(url.username),) if url.username else ()
            greeting.append(("AUTH", *user, unquote(url.password)))
        database = url.path.strip("/")
        if database.isdecimal() and database != "0" and url.scheme != "unix":
            greeting.append(("SELECT", database))
        return greeting or [("PING",)]


class _Wire(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._reader = hiredis.Reader(replyError=ReplyError)
        self._waiting: deque[tuple[int, list[Any], asyncio.Future[list[Any]]]] = deque()

    def is_closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def send(self, commands: Sequence[Command]) -> asyncio.Future[list[Any]]:
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        if self._transport is None:
            future.set_exception(ConnectionError("not connected"))
            return future
        self._waiting.append((len(commands), [], future))
        pack = hiredis.pack_command
        # Its stub knows tuples of one element only.
        self._transport.write(b"".join([pack(each) for each in commands]))  # type: ignore[arg-type]
        return future

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            wanted, replies, future = self._waiting[0]
            replies.append(reply)
            if len(replies) == wanted:
                self._waiting.popleft()
                if not future.done():
                    future.set_result(replies)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        lost = ConnectionError(str(exc or "the connection was closed"))
        while self._waiting:
            _, _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(lost)
