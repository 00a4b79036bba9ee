"""A TCP proxy that delays, drops, cuts and swallows: what a network does to a connection."""

import asyncio
import contextlib
from typing import Self


class Wire:
    """Listens on `port` and forwards to another one of this machine.

    Set at any time: `delay_s` before each piece of a reply; `swallows`, so that nothing passes in
    either direction and nothing is closed; `replies_to_lose`, each of which is cut off instead,
    after the request has arrived; `cut_after`, bytes of a reply after which the wire is cut.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.delay_s = 0.0
        self.swallows = False
        self.replies_to_lose = 0
        self.lost = 0
        self.cut_after: int | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Every connection ends."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.target_port)
        self._writers |= {writer, back}
        for work in (self._forward(reader, back), self._answer(there, writer)):
            task = asyncio.create_task(work)
            self._tasks.add(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if not self.swallows:
                    writer.write(data)
                    await writer.drain()
        writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await asyncio.sleep(self.delay_s)
                if self.replies_to_lose:
                    self.replies_to_lose -= 1
                    self.lost += 1
                    break
                if self.cut_after is not None:
                    writer.write(data[: self.cut_after])
                    self.cut_after, self.lost = None, self.lost + 1
                    break
                if not self.swallows:
                    writer.write(data)
                    await writer.drain()
        writer.transport.abort()
