"""Files and results, asked of the provider by the sidecar itself."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import quote

from spendra._hot import Exchange, Relay, UpstreamError
from spendra_sidecar.serving.credentials import Credentials
from spendra_sidecar.serving.own_requests import fetched
from spendra_sidecar.serving.refusals import Refusal
from spendra_sidecar.snapshots.routes import Route

_OK = 200
_WITHIN_S = 120
"""A file that does not come must not keep others from being read."""


class FetchError(Exception):
    """It could not be read; the message says why, without what was read."""


class Fetching:
    def __init__(self, relay: Relay, credentials: Credentials, most_bytes: int) -> None:
        self._relay = relay
        self._credentials = credentials
        self._most_bytes = most_bytes

    async def whole(self, route: Route, operation: str, values: dict[str, str]) -> bytes:
        """At most as much as a request's body may be. Raises FetchError."""
        try:
            async with asyncio.timeout(_WITHIN_S):
                return await self._whole(route, operation, values)
        except TimeoutError:
            msg = f"it did not come within {_WITHIN_S} s"
            raise FetchError(msg) from None

    async def _whole(self, route: Route, operation: str, values: dict[str, str]) -> bytes:
        content = bytearray()
        async for piece in self._pieces(route, operation, values):
            content += piece
            if len(content) > self._most_bytes:
                msg = f"it is longer than {self._most_bytes} bytes; split it"
                raise FetchError(msg)
        return bytes(content)

    async def lines(
        self, route: Route, operation: str, values: dict[str, str]
    ) -> AsyncIterator[bytes]:
        """Each that is not empty, however many there are. Raises FetchError."""
        rest = b""
        async for piece in self._pieces(route, operation, values):
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                if line.strip():
                    yield line
            if len(rest) > self._most_bytes:
                msg = f"a line is longer than {self._most_bytes} bytes"
                raise FetchError(msg)
        if rest.strip():
            yield rest

    async def _pieces(
        self, route: Route, operation: str, values: dict[str, str]
    ) -> AsyncIterator[bytes]:
        asked = next(each for each in route.row.operations if each.name == operation)
        named = {name: quote(value, safe="") for name, value in values.items()}
        url = f"{route.origin}{route.path(asked, named)}"
        try:
            credential = await self._credentials.header(route, asked)
            async with fetched(self._relay, url, [credential, *_versions(route)]) as exchange:
                if exchange.status != _OK:
                    msg = f"{route.name} answered {exchange.status}"
                    raise FetchError(msg)
                while piece := await _next(exchange):
                    yield piece
        except Refusal as refusal:
            raise FetchError(refusal.message) from refusal
        except UpstreamError as error:
            msg = f"{route.name} could not be read: {error}"
            raise FetchError(msg) from error


async def _next(exchange: Exchange) -> bytes | None:
    future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
    piece = exchange.next(future)
    if piece is False:
        piece = await future
    return piece if isinstance(piece, bytes) else None


def _versions(route: Route) -> list[tuple[str, str]]:
    return [("anthropic-version", "2023-06-01")] if route.row.protocol == "anthropic" else []
