"""Request bodies in pieces: whole at the upstream, no faster than it reads, never cut unnoticed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from spendra._hot import Upload, UpstreamError
from tests.relay.caller import ask, attached, start
from tests.relay.upstream import Talk, upstream, whole

if TYPE_CHECKING:
    from tests.relay.conftest import Run

PIECE = bytes(range(256)) * 256
PIECES = 200


async def push(upload: Upload, piece: bytes) -> bool:
    taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    pushed = upload.push(taken, piece)
    return await taken if pushed is None else pushed


async def _echo_size(talk: Talk) -> None:
    request = await talk.request()
    body = request.partition(b"\r\n\r\n")[2]
    await talk.say(whole(b"%d %d" % (len(body), body == PIECE * PIECES)))


def test_a_body_in_pieces_arrives_whole_with_its_length(run: Run) -> None:
    async def test() -> None:
        async with upstream(_echo_size) as url:
            with attached() as relay:
                upload = relay.upload(len(PIECE) * PIECES)
                _, head = start(relay, url, body=upload)
                for _ in range(PIECES):
                    assert await push(upload, PIECE)
                upload.finish()
                assert (await head).body == b"%d 1" % (len(PIECE) * PIECES)

    run(test)


def test_a_body_of_unknown_length_is_chunked(run: Run) -> None:
    async def chunks(talk: Talk) -> None:
        head = await talk.request()
        assert b"transfer-encoding: chunked" in head.lower()
        assert b"content-length" not in head.lower()
        await talk.say(whole(b"seen"))

    async def test() -> None:
        async with upstream(chunks) as url:
            with attached() as relay:
                upload = relay.upload()
                _, head = start(relay, url, body=upload)
                assert await push(upload, b"wet")
                upload.finish()
                assert (await head).body == b"seen"

    run(test)


def test_nothing_is_taken_that_the_upstream_does_not_read(run: Run) -> None:
    async def test() -> None:
        read_on = asyncio.Event()

        async def slow(talk: Talk) -> None:
            await read_on.wait()
            await _echo_size(talk)

        async with upstream(slow) as url:
            with attached() as relay:
                upload = relay.upload(len(PIECE) * PIECES)
                _, head = start(relay, url, body=upload)
                pushed = 0
                while True:
                    pushing = asyncio.ensure_future(push(upload, PIECE))
                    done, _ = await asyncio.wait([pushing], timeout=1)
                    if not done:
                        break
                    pushed += 1
                # What the kernel's buffers hold was taken; then nothing more.
                assert pushed < PIECES // 2
                read_on.set()
                assert await pushing
                for _ in range(PIECES - pushed - 1):
                    assert await push(upload, PIECE)
                upload.finish()
                assert (await head).body == b"%d 1" % (len(PIECE) * PIECES)

    run(test)


@pytest.mark.parametrize("length", [None, 10_000_000])
def test_a_body_that_was_cut_is_not_taken_for_whole(run: Run, length: int | None) -> None:
    ended: list[bytes] = []

    async def listen(talk: Talk) -> None:
        head = await talk.request() if length is None else b""
        rest = await talk.rest()
        ended.append(head + rest)

    async def test() -> None:
        async with upstream(listen) as url:
            with attached() as relay:
                upload = relay.upload(length)
                _, head = start(relay, url, body=upload)
                assert await push(upload, b"wet")
                await asyncio.sleep(0.05)
                upload.cut()
                assert not await push(upload, b"late")
                with pytest.raises(UpstreamError):
                    await head
        assert not ended[0].endswith(b"0\r\n\r\n")

    run(test)


def test_a_body_that_was_cut_while_a_piece_waits_is_not_taken_for_whole(run: Run) -> None:
    async def test() -> None:
        read_on = asyncio.Event()
        received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def slow(talk: Talk) -> None:
            await read_on.wait()
            received.set_result(await talk.rest())

        async with upstream(slow) as url:
            with attached() as relay:
                upload = relay.upload()
                _, head = start(relay, url, body=upload)
                pushing = asyncio.ensure_future(push(upload, PIECE))
                while (await asyncio.wait([pushing], timeout=1))[0]:
                    pushing = asyncio.ensure_future(push(upload, PIECE))
                upload.cut()
                read_on.set()
                with pytest.raises(UpstreamError):
                    await head
                assert not (await received).endswith(b"0\r\n\r\n")

    run(test)


def test_an_upload_is_sent_with_one_request(run: Run) -> None:
    async def test() -> None:
        async with upstream(_echo_size) as url:
            with attached() as relay:
                upload = relay.upload(0)
                upload.finish()
                assert (await ask(relay, url, body=upload)).body == b"0 0"
                with pytest.raises(ValueError, match="one request"):
                    start(relay, url, body=upload)

    run(test)
