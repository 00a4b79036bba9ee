"""Request bodies: read whole, within one body's limit and within that of all together."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from spendra_sidecar.config import Config
from spendra_sidecar.serving.call import Call
from spendra_sidecar.serving.refusals import Refusal

_SMALL_BYTES = 64 * 1024
"""Bodies up to this size wait for nobody."""


class Bodies:
    """Memory for large bodies is lent in the order in which it was asked for."""

    def __init__(self, config: Config) -> None:
        self._one_bytes = config.max_body_bytes
        self._left_bytes = max(config.max_buffered_bytes, config.max_body_bytes)
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def read(self, call: Call) -> AsyncIterator[None]:
        """`call.body`, and its memory until the end of the block. Raises Refusal if too large."""
        lent = self._size(call)
        if lent > _SMALL_BYTES:
            await self._borrow(lent)
        try:
            call.body = await self._read(call)
            yield
        finally:
            call.body = b""
            if lent > _SMALL_BYTES:
                self._give_back(lent)

    def _size(self, call: Call) -> int:
        """As the caller states it; the largest that is allowed where it does not."""
        stated = call.scope.headers.get("content-length")
        if stated is None or not stated.isdecimal():
            has_body = call.scope.headers.get("transfer-encoding") is not None
            return self._one_bytes if has_body else 0
        return min(int(stated), self._one_bytes)

    async def _borrow(self, size: int) -> None:
        if size <= self._left_bytes and not self._waiting:
            self._left_bytes -= size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(size)
            raise

    def _give_back(self, size: int) -> None:
        self._left_bytes += size
        while self._waiting and self._waiting[0][0] <= self._left_bytes:
            wanted, turn = self._waiting.popleft()
            if not turn.done():
                self._left_bytes -= wanted
                turn.set_result(None)

    async def _read(self, call: Call) -> bytes:
        length = call.scope.headers.get("content-length")
        if length is not None and length.isdecimal() and int(length) <= self._one_bytes:
            return await call.protocol()
        chunks, size = [], 0
        async for chunk in call.protocol:
            size += len(chunk)
            if size > self._one_bytes:
                most = self._one_bytes
                msg = f"The request body is larger than {most} bytes (SPENDRA_MAX_BODY_BYTES)."
                raise Refusal("body_too_large", msg)
            chunks.append(chunk)
        return b"".join(chunks)
