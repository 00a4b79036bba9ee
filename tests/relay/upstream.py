"""A small asyncio upstream that a test scripts to the byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

Script = Callable[["Talk"], Awaitable[None]]


class Talk:
    """One connection, as the upstream sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """Read one whole request. IncompleteReadError when the caller has gone."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return head + await self._reader.readexactly(int(line.split(b":")[1]))
        return head

    async def say(self, *texts: bytes) -> None:
        """Write these bytes."""
        self._writer.write(b"".join(texts))
        await self._writer.drain()

    async def rest(self) -> bytes:
        """Everything until the caller closes the connection."""
        return await self._reader.read()

    async def gone(self) -> None:
        """Wait until the caller closes the connection."""
        while await self._reader.read(65536):
            pass


def whole(body: bytes, status: str = "200 OK") -> bytes:
    """Answer with this body and its length."""
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def chunk(data: bytes) -> bytes:
    """One chunk of chunked transfer coding; an empty one is the end."""
    return b"%x\r\n%s\r\n" % (len(data), data)


@asynccontextmanager
async def upstream(script: Script) -> AsyncIterator[str]:
    """Listen, and run the script for each connection; yields the URL."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(Talk(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/v1/chat/completions"
    finally:
        server.close()
