"""The relay on asyncio and uvloop, against upstreams scripted to the byte."""

from __future__ import annotations

import asyncio
import gc
import socket
from typing import TYPE_CHECKING

import pytest

from spendra._hot import Relay, UpstreamError
from tests.relay.caller import ask, attached, next_bytes, read, start
from tests.relay.upstream import SSE, Talk, chunk, upstream, whole

if TYPE_CHECKING:
    from tests.relay.conftest import Run


async def _echo(talk: Talk) -> None:
    while request := await talk.request():
        await talk.say(whole(request.partition(b"\r\n\r\n")[2]))


async def _stall(talk: Talk) -> None:
    await talk.request()
    await talk.gone()


def test_a_plain_answer_comes_with_its_head(run: Run) -> None:
    async def test() -> None:
        async with upstream(_echo) as url:
            with attached() as relay:
                exchange, head = start(relay, url, body=b'{"a":1}')
                assert await head is exchange
                assert (exchange.status, exchange.body) == (200, b'{"a":1}')
                assert exchange.headers == [("content-length", "7")]
                assert await next_bytes(exchange) is None

    run(test)


def test_many_at_once_each_get_their_own(run: Run) -> None:
    async def test() -> None:
        async with upstream(_echo) as url:
            with attached() as relay:
                bodies = [b"%d" % n for n in range(300)]
                answers = await asyncio.gather(*[ask(relay, url, body=body) for body in bodies])
                assert [answer.body for answer in answers] == bodies

    run(test)


def test_a_stream_comes_as_it_is_said(run: Run) -> None:
    async def test() -> None:
        taken = asyncio.Queue[None]()

        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(SSE)
            for n in range(5):
                await taken.get()
                await talk.say(chunk(b"data: %d\n\n" % n))
            await talk.say(chunk(b""))

        async with upstream(script) as url:
            with attached() as relay:
                exchange = await ask(relay, url)
                assert exchange.body is None
                for n in range(5):
                    taken.put_nowait(None)
                    assert await next_bytes(exchange) == b"data: %d\n\n" % n
                assert await next_bytes(exchange) is None

    run(test)


def test_bytes_that_are_there_need_no_future(run: Run) -> None:
    async def test() -> None:
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(SSE, chunk(b"data: 1\n\n"), chunk(b"data: 2\n\n"), chunk(b""))

        async with upstream(script) as url:
            with attached() as relay:
                exchange = await ask(relay, url)
                assert await read(exchange) == b"data: 1\n\ndata: 2\n\n"
                unused: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
                assert exchange.next(unused) is None
                assert not unused.done()

    run(test)


def test_a_future_given_up_loses_no_bytes(run: Run) -> None:
    async def test() -> None:
        go_on = asyncio.Event()

        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(SSE)
            await go_on.wait()
            await talk.say(chunk(b"data: 1\n\n"), chunk(b""))

        async with upstream(script) as url:
            with attached() as relay:
                exchange = await ask(relay, url)
                given_up: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
                assert exchange.next(given_up) is False
                given_up.cancel()
                go_on.set()
                assert await read(exchange) == b"data: 1\n\n"

    run(test)


@pytest.mark.parametrize("how", ["cancel", "drop"])
@pytest.mark.parametrize("said", [b"", SSE])
def test_going_away_closes_the_upstream_connection(run: Run, said: bytes, how: str) -> None:
    async def test() -> None:
        asked, gone = asyncio.Event(), asyncio.Event()

        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(said)
            asked.set()
            await talk.gone()
            gone.set()

        async with upstream(script) as url:
            with attached() as relay:
                exchange, head = start(relay, url)
                await asked.wait()
                if said:
                    await head
                if how == "cancel" or not said:
                    exchange.cancel()
                    exchange.cancel()
                    assert said or head.cancelled()
                del exchange, head
                gc.collect()
                await gone.wait()

    run(test)


def test_the_meter_remembers_after_cancelling(run: Run) -> None:
    async def test() -> None:
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(SSE, chunk(b"data: 1\n\n"))
            await talk.gone()

        async with upstream(script) as url:
            with attached() as relay:
                exchange = await ask(relay, url)
                assert await next_bytes(exchange) == b"data: 1\n\n"
                before = exchange.metered()
                exchange.cancel()
                assert type(exchange.metered()) is type(before)
                with pytest.raises(UpstreamError):
                    await next_bytes(exchange)

    run(test)


def test_a_refused_port_has_not_been_left_for(run: Run) -> None:
    async def test() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
        with attached() as relay:
            with pytest.raises(UpstreamError) as raised:
                await ask(relay, f"http://127.0.0.1:{port}/")
            assert (raised.value.kind, raised.value.may_have_left) == ("connect", False)

    run(test)


def test_a_silent_upstream_is_a_first_byte_timeout(run: Run) -> None:
    async def test() -> None:
        async with upstream(_stall) as url:
            with attached(first_byte_timeout_ms=100) as relay:
                with pytest.raises(UpstreamError) as raised:
                    await ask(relay, url)
                assert (raised.value.kind, raised.value.may_have_left) == (
                    "first_byte_timeout",
                    True,
                )

    run(test)


def test_a_stream_that_stops_is_an_idle_timeout(run: Run) -> None:
    async def test() -> None:
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(SSE, chunk(b"data: 1\n\n"))
            await talk.gone()

        async with upstream(script) as url:
            with attached(idle_timeout_ms=100) as relay:
                exchange = await ask(relay, url)
                assert await next_bytes(exchange) == b"data: 1\n\n"
                with pytest.raises(UpstreamError) as raised:
                    await next_bytes(exchange)
                assert raised.value.kind == "idle_timeout"

    run(test)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart",
        SSE + chunk(b"data: 1\n\n"),
        SSE + b"ff\r\ndata",
    ],
)
def test_a_cut_answer_says_so(run: Run, said: bytes) -> None:
    async def test() -> None:
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(said)

        async with upstream(script) as url:
            with attached() as relay:
                with pytest.raises(UpstreamError) as raised:
                    await read(await ask(relay, url))
                assert (raised.value.kind, raised.value.may_have_left) == ("cut", True)

    run(test)


def test_what_is_not_http_is_a_protocol_error(run: Run) -> None:
    async def test() -> None:
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(b"220 mail.example ESMTP\r\n\r\n")

        async with upstream(script) as url:
            with attached() as relay:
                with pytest.raises(UpstreamError) as raised:
                    await ask(relay, url)
                assert raised.value.kind == "protocol"

    run(test)


def test_an_unusable_request_is_refused_at_once(run: Run) -> None:
    async def test() -> None:
        with attached() as relay, pytest.raises(ValueError, match="absolute http or https URL"):
            start(relay, "ftp://host/")

    run(test)


def test_closing_cancels_what_waits(run: Run) -> None:
    async def test() -> None:
        async with upstream(_stall) as url:
            with attached() as relay:
                _, head = start(relay, url)
                relay.close()
                relay.close()
                assert head.cancelled()
                with pytest.raises(ValueError, match="closed"):
                    start(relay, url)

    run(test)


def test_a_relay_serves_one_loop_after_another() -> None:
    relay = Relay()

    async def test() -> None:
        relay.attach(asyncio.get_running_loop())
        async with upstream(_echo) as url:
            assert (await ask(relay, url, body=b"1")).body == b"1"

    asyncio.run(test())
    asyncio.run(test())
    relay.close()
