"""One caller's connection: parse, answer, and break off where the shape says so.

Plain asyncio rather than an application server: a server ends a failed stream politely, with the
terminating chunk, and a simulated provider has to be able to die in the middle of a sentence.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Final, cast

import httptools

from spendra.command.simulator.answer import Answer, Request
from spendra.command.simulator.journal import Entry
from spendra.command.simulator.shape import Shape

_AT_ONCE: Final = 256 * 1024
_A_TURN: Final = 64 * 1024
_LAST_CHUNK: Final = b"0\r\n\r\n"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


def head(answer: Answer, *, keep_alive: bool) -> bytes:
    """Status line and headers, with the framing that the body will have."""
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {answer.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    lines.append(_framing(answer))
    if not keep_alive:
        lines.append("connection: close")
    return "\r\n".join([*lines, "\r\n"]).encode("latin-1", "replace")


def _framing(answer: Answer) -> str:
    if answer.streamed:
        return "transfer-encoding: chunked"
    return f"content-length: {sum(map(len, answer.pieces))}"


def framed(piece: bytes) -> bytes:
    """A stream's event as one chunk."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


class Play:
    """An answer on its way out: what to write, how fast, and where to stop."""

    def __init__(self, answer: Answer, shape: Shape, entry: Entry, *, keep_alive: bool) -> None:
        self.answer, self.shape, self.entry = answer, shape, entry
        self.keep_alive = keep_alive

    @property
    def broken(self) -> bool:
        return self.shape.drop or self.shape.cut_after is not None

    @property
    def immediate(self) -> bool:
        small = sum(map(len, self.answer.pieces)) <= _AT_ONCE
        return small and not (self.shape.delay_ms or self.shape.chunk_ms)

    def writes(self) -> Iterator[bytes]:
        """What is written, in order; ends early where the answer is cut."""
        yield head(self.answer, keep_alive=self.keep_alive)
        cut = self.shape.cut_after
        if self.answer.streamed:
            for piece in self.answer.pieces[:cut]:
                self.entry.sent_pieces += 1
                yield framed(piece)
        else:
            self.entry.sent_pieces = 1
            yield b"".join(self.answer.pieces)[:cut]
        if self.answer.streamed and cut is None:
            yield _LAST_CHUNK


Answering = Callable[[Request, bool], Play]


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive and pipelining; one answer is written at a time."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Play] = deque()
        self._playing: asyncio.Task[None] | None = None
        self._current: Play | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    # --- the transport speaks -----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (the end either way)
        self._writable.set()
        if self._playing is not None:
            self._playing.cancel()
        for play in filter(None, (self._current, *self._waiting)):
            if play.entry.outcome == "open":
                play.entry.outcome = "disconnected"

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # --- the parser speaks --------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._target, self._body = b"", bytearray()
        self._headers: dict[str, str] = {}

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower().decode("latin-1")] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        path, _, query = self._target.decode("latin-1").partition("?")
        request = Request(
            method=self._parser.get_method().decode("latin-1"),
            path=path,
            query=query,
            headers=self._headers,
            body=bytes(self._body),
        )
        self._waiting.append(self._answering(request, self._parser.should_keep_alive()))
        if self._playing is None:
            self._play_waiting()

    # --- and we answer ------------------------------------------------------------------

    def _play_waiting(self) -> None:
        while self._waiting and self._waiting[0].immediate:
            play = self._waiting.popleft()
            if not play.shape.drop:
                self._transport.write(b"".join(play.writes()))
            self._ended(play)
        if self._waiting:
            self._current = self._waiting.popleft()
            self._playing = asyncio.get_running_loop().create_task(self._play(self._current))

    async def _play(self, play: Play) -> None:
        await asyncio.sleep(play.shape.delay_ms / 1000)
        if not play.shape.drop:
            await self._write_paced(play)
        self._ended(play)
        self._playing = self._current = None
        if not self._transport.is_closing():
            self._play_waiting()

    async def _write_paced(self, play: Play) -> None:
        since_turn = 0
        for position, data in enumerate(play.writes()):
            if position > 1 and play.shape.chunk_ms:
                await asyncio.sleep(play.shape.chunk_ms / 1000)
            self._transport.write(data)
            since_turn += len(data)
            if since_turn > _A_TURN:
                # The transport says that it is full only once the loop has had its turn.
                since_turn = 0
                await asyncio.sleep(0)
            await self._writable.wait()

    def _ended(self, play: Play) -> None:
        play.entry.outcome = "cut" if play.broken else "complete"
        if play.broken or not play.keep_alive:
            # Flushes what was written, then ends the connection: a cut body has no end of its own.
            self._transport.close()
