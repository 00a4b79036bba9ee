"""What the sidecar asks a provider by itself: free reads, which nobody is charged for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from spendra._hot import Exchange, Relay

Pairs = list[tuple[str, str]]


@asynccontextmanager
async def fetched(
    relay: Relay, url: str, headers: Pairs, buffer_limit: int = 0
) -> AsyncIterator[Exchange]:
    """Once its head is there, not compressed; ended with the block. Raises UpstreamError."""
    head: asyncio.Future[Exchange] = asyncio.get_running_loop().create_future()
    sent = relay.send(
        head,
        method="GET",
        url=url,
        headers=[*headers, ("accept-encoding", "identity")],
        body=b"",
        dialect="",
        hide_usage=False,
        buffer_limit=buffer_limit,
    )
    try:
        yield await head
    finally:
        sent.cancel()
