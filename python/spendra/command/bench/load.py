"""Callers that ask one request after the other, each over a connection of its own."""

import asyncio
import time
from typing import Final, NamedTuple, Self
from urllib.parse import urlsplit

from spendra.arguments import EX_UNAVAILABLE, CommandError

_BODY: Final = (
    b'{"model":"gpt-4o","messages":[{"role":"user","content":"Say hello."}],"max_tokens":16}'
)
_LENGTH: Final = b"content-length:"


class Target(NamedTuple):
    host: str
    port: int
    request: bytes

    @classmethod
    def at(cls, url: str, key: str) -> Self:
        parts = urlsplit(url)
        host, port = parts.hostname or "127.0.0.1", parts.port or 80
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}:{port}\r\n"
            f"authorization: Bearer {key}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(_BODY)}\r\n\r\n"
        )
        return cls(host, port, head.encode() + _BODY)


class Sample(NamedTuple):
    """Seconds of each request, and of all of it."""

    latencies_s: list[float]
    elapsed_s: float


async def ask_for(target: Target, callers: int, seconds: float) -> Sample:
    """Raises CommandError when an answer is not 200."""
    began = time.perf_counter()
    asked = await asyncio.gather(*(_ask(target, began + seconds) for _ in range(callers)))
    return Sample([each for one in asked for each in one], time.perf_counter() - began)


async def _ask(target: Target, until: float) -> list[float]:
    reader, writer = await asyncio.open_connection(target.host, target.port)
    latencies: list[float] = []
    try:
        while (began := time.perf_counter()) < until:
            writer.write(target.request)
            await _answer(reader)
            latencies.append(time.perf_counter() - began)
    finally:
        writer.close()
    return latencies


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    if b" 200 " not in lines[0]:
        raise CommandError(EX_UNAVAILABLE, f"a request was answered {lines[0].decode()!r}.")
    sizes = [int(line[len(_LENGTH) :]) for line in lines if line.startswith(_LENGTH)]
    if sizes:
        await reader.readexactly(sizes[0])
        return
    while size := int((await reader.readline()).split(b";")[0], 16):
        await reader.readexactly(size + 2)
    await reader.readline()
