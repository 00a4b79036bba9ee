"""Much at once through one sidecar process: large bodies both ways, and many slow streams.

What the sidecar's memory grew by is printed (`pytest -s`) and bounded generously.
"""

import asyncio
import json
import resource
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.system.conftest import System, eventually, running

MEGABYTE = 1024 * 1024
LARGE = 20_000_000
PIECE = 50_000
AT_ONCE = 12
STREAMS = 1000
GROWTH_OF_UPLOADS = 60 * MEGABYTE
"""A quarter of what the bodies would take that are under way together."""
GROWTH_OF_ANSWERS = AT_ONCE * LARGE
"""What callers have not taken yet waits in the server's memory, once."""
GROWTH_OF_STREAMS = 150 * MEGABYTE


@pytest.fixture(scope="module")
def single(provider: str) -> Iterator[System]:
    """A product with one sidecar, whose budget is no hindrance."""
    with running(provider) as found:
        budget = f"/v1/budgets/{found.up['budget_id']}"
        found.ask("PATCH", budget, {"limit_usd": "1000000"})
        found.pushed()
        yield found


def sidecar(system: System) -> psutil.Process:
    """The process that listens on the sidecar's port."""
    port = urlsplit(system.up["sidecar_url"]).port
    listening = psutil.CONN_LISTEN
    for process in psutil.Process(system.process.pid).children(recursive=True):
        sockets = process.net_connections("tcp")
        if any(s.status == listening and s.laddr.port == port for s in sockets):
            return process
    msg = f"nothing of ours listens on {port}"
    raise AssertionError(msg)


class Watch:
    """The largest memory of a process while something happens."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.before = self.peak = process.memory_info().rss

    async def run(self) -> None:
        while True:
            self.peak = max(self.peak, self._process.memory_info().rss)
            await asyncio.sleep(0.02)

    def report(self, what: str) -> int:
        growth = self.peak - self.before
        print(  # noqa: T201 (what was measured is to be seen)
            f"\n{what}: {self.before / MEGABYTE:.0f} MiB before, "
            f"{self.peak / MEGABYTE:.0f} MiB at most, grown by {growth / MEGABYTE:.0f} MiB"
        )
        return growth


async def watched(system: System, what: str, work: Any) -> tuple[int, Any]:
    watch = Watch(sidecar(system))
    watching = asyncio.create_task(watch.run())
    try:
        result = await work
    finally:
        watching.cancel()
    return watch.report(what), result


def caller(system: System) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {system.up['api_key']}"}
    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(
        base_url=system.up["sidecar_url"], headers=headers, timeout=120, limits=limits
    )


# --- large bodies -------------------------------------------------------------------------


async def form() -> AsyncIterator[bytes]:
    """A form with a file of 20 MB, in pieces."""
    head = '--edge\r\ncontent-disposition: form-data; name="{}"{}\r\n\r\n'
    yield f"{head.format('purpose', '')}user_data\r\n".encode()
    yield head.format("file", '; filename="large.bin"').encode()
    for _ in range(LARGE // PIECE):
        yield b"w" * PIECE
    yield b"\r\n--edge--\r\n"


async def upload(client: httpx.AsyncClient) -> str:
    headers = {"content-type": "multipart/form-data; boundary=edge"}
    answer = await client.post("/v1/files", content=form(), headers=headers)
    assert answer.status_code == 200, answer.text[:500]
    assert answer.json()["bytes"] == LARGE
    return str(answer.json()["id"])


async def download(client: httpx.AsyncClient, file_id: str) -> int:
    """Bytes that came, read by a slow caller."""
    size = 0
    async with client.stream("GET", f"/v1/files/{file_id}/content") as answer:
        assert answer.status_code == 200
        async for piece in answer.aiter_bytes(MEGABYTE):
            size += len(piece)
            await asyncio.sleep(0.01)
    return size


async def test_uploads_of_20_mb_are_not_held_in_memory(single: System) -> None:
    async with caller(single) as client:
        await upload(client)
        work = asyncio.gather(*(upload(client) for _ in range(AT_ONCE)))
        growth, identities = await watched(single, f"{AT_ONCE} uploads of 20 MB at once", work)
    assert len(set(identities)) == AT_ONCE
    assert growth < GROWTH_OF_UPLOADS


async def test_answers_of_20_mb_are_held_at_most_once(single: System) -> None:
    async with caller(single) as client:
        file_id = await upload(client)
        work = asyncio.gather(*(download(client, file_id) for _ in range(AT_ONCE)))
        growth, sizes = await watched(single, f"{AT_ONCE} answers of 20 MB at once", work)
    assert sizes == [LARGE] * AT_ONCE
    assert growth < GROWTH_OF_ANSWERS


async def test_an_upload_that_is_cut_does_not_become_a_file(single: System) -> None:
    """A part of a chunked body is not passed on as the whole."""
    address = urlsplit(single.up["sidecar_url"])
    before = single.provider()["total"]
    for _ in range(3):
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        head = (
            "POST /v1/files HTTP/1.1\r\nhost: x\r\n"
            f"authorization: Bearer {single.up['api_key']}\r\n"
            "content-type: multipart/form-data; boundary=edge\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        part = b"w" * PIECE
        writer.write(head.encode() + b"%x\r\n%s\r\n" % (len(part), part))
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.transport.abort()
    async with caller(single) as client:
        await upload(client)
    assert single.provider()["total"] == before + 1


async def test_a_chat_of_20_mb_is_answered(single: System) -> None:
    picture = f"data:image/png;base64,{'A' * LARGE}"
    content = [{"type": "image_url", "image_url": {"url": picture}}]
    asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": content}]}
    async with caller(single) as client:
        answer = await client.post("/v1/chat/completions", json=asked)
    assert answer.status_code == 200, answer.text[:500]
    assert single.ended(answer.headers["x-spendra-decision-id"])["state"] == "posted"


# --- many streams -------------------------------------------------------------------------


async def slow_stream(url: str, key: str) -> bytes:
    """One raw connection: a thousand of an HTTP library's would measure the library."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    asked = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "max_tokens": 40,
    }
    body = json.dumps(asked)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
        "content-type: application/json\r\nx-simulate: tokens=40,chunk-ms=250\r\n"
        f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    )
    writer.write(head.encode())
    received = await reader.read()
    writer.close()
    return received


async def gathered(url: str, key: str) -> list[bytes]:
    """Started a few at a time, so that none is lost in a full queue of the kernel."""
    tasks = []
    for number in range(STREAMS):
        tasks.append(asyncio.create_task(slow_stream(url, key)))
        if number % 20 == 0:
            await asyncio.sleep(0.02)
    return await asyncio.gather(*tasks)


@pytest.fixture
def many_files() -> Iterator[None]:
    """The caller's side alone is a thousand sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
@pytest.mark.timeout(240)
async def test_a_thousand_slow_streams_are_served_together(single: System) -> None:
    scope = {"project": "streams"}
    budget, key = single.new_budget(scope, "1000000"), single.new_key(scope)["key"]
    work = gathered(single.up["sidecar_url"], key)
    growth, answers = await watched(single, f"{STREAMS} slow streams at once", work)
    assert all(b"data: [DONE]" in answer for answer in answers), answers[0][:500]
    spent = eventually(
        lambda: single.spend(budget["id"]), lambda s: s["held_nanousd"] == 0, within_s=60
    )
    of_each, rest = divmod(spent["settled_nanousd"], STREAMS)
    assert (rest, of_each > 40 * 600) == (0, True)
    assert growth < GROWTH_OF_STREAMS
