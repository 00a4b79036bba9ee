"""How a program uses the relay."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spendra._hot import Exchange, Relay, Upload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@contextmanager
def attached(**timeouts_ms: int) -> Iterator[Relay]:
    """Attach a relay to the running loop; it is closed at the end."""
    relay = Relay(**timeouts_ms)
    relay.attach(asyncio.get_running_loop())
    try:
        yield relay
    finally:
        relay.close()


def start(
    relay: Relay, url: str, *, body: bytes | Upload = b"{}"
) -> tuple[Exchange, asyncio.Future[Exchange]]:
    """Send a request; the exchange, and the future of its head."""
    head: asyncio.Future[Exchange] = asyncio.get_running_loop().create_future()
    exchange = relay.send(
        head,
        method="POST",
        url=url,
        headers=[("authorization", "Bearer sk-1"), ("content-type", "application/json")],
        body=body,
        dialect="openai_chat",
        hide_usage=False,
        buffer_limit=1 << 20,
    )
    return exchange, head


async def ask(relay: Relay, url: str, *, body: bytes | Upload = b"{}") -> Exchange:
    """Send a request and wait for its head."""
    _, head = start(relay, url, body=body)
    return await head


async def next_bytes(exchange: Exchange) -> bytes | None:
    """Wait for the next bytes; None at the end."""
    future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
    now = exchange.next(future)
    return await future if isinstance(now, bool) else now


async def pieces(exchange: Exchange) -> AsyncIterator[bytes]:
    """All bytes as they come."""
    while (piece := await next_bytes(exchange)) is not None:
        yield piece


async def read(exchange: Exchange) -> bytes:
    """All bytes."""
    return b"".join([piece async for piece in pieces(exchange)])
