"""Requests for which the provider bills nothing: a key is needed, a budget is not."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import Message

from granian.rsgi import ProtocolClosed

from spendra._hot import Exchange, Principal, Relay, Upload, UpstreamError
from spendra_sidecar.config import Config
from spendra_sidecar.serving import answers, callers, catalogs
from spendra_sidecar.serving.authentication import Authentication
from spendra_sidecar.serving.batches.results import led_here
from spendra_sidecar.serving.call import Call, Choice
from spendra_sidecar.serving.credentials import Credentials
from spendra_sidecar.serving.forwarding import pump, target, upstream_refusal
from spendra_sidecar.serving.pending import Pending
from spendra_sidecar.serving.refusals import Refusal
from spendra_sidecar.snapshots.live import Live

_OF_THE_WHOLE = frozenset(("content-length", "etag", "content-md5", "digest"))
"""Headers that say something of a body as the provider sent it."""
_LONGEST_END = 1024
"""Of a form: its last boundary, of at most 70 characters, and what may follow it."""
_LISTS = frozenset(("models", "google_models", "cohere_models"))
_READ = _LISTS | {
    "batches_get",
    "batches_cancel",
    "messages_batches_get",
    "messages_batches_cancel",
}
"""What the sidecar reads itself, whole and not compressed."""


class Passing:
    """Authenticates, forwards and relays; no ledger is asked."""

    def __init__(
        self,
        config: Config,
        authentication: Authentication,
        relay: Relay,
        credentials: Credentials,
        pending: Pending,
    ) -> None:
        self._buffer_limit = config.max_body_bytes
        self._authentication = authentication
        self._relay = relay
        self._credentials = credentials
        self._pending = pending
        self._exchanges: set[Exchange] = set()

    async def serve(self, call: Call) -> None:
        """Raises Refusal before any byte was answered."""
        live, principal = await self._authentication.authenticate(
            call, self._authentication.snapshot(), spends=False
        )
        choice = _choice(call, live)
        credential = await self._credentials.header(choice.route, choice.operation)
        async with self._body(call, choice) as body:
            exchange = await self._head(call, choice, credential, body)
            headers = exchange.headers + _headers(call, choice)
            if exchange.body is not None:
                shown = _shown(call, live, principal, choice, exchange.body)
                if shown is not exchange.body:
                    headers = [pair for pair in headers if pair[0] not in _OF_THE_WHOLE]
                call.protocol.response_bytes(exchange.status, headers, shown)
            else:
                await self._stream(call, exchange, headers)
        if choice.operation.treatment == "later" and call.match.values.get("id"):
            identity = call.match.values["id"]
            await self._pending.hear(choice.route, identity, exchange, live.prices)

    @asynccontextmanager
    async def _body(self, call: Call, choice: Choice) -> AsyncIterator[bytes | Upload]:
        """What was read, or a form that is sent on as it is read."""
        if not choice.operation.form:
            yield call.body
            return
        length = call.scope.headers.get("content-length", "")
        upload = self._relay.upload(int(length) if length.isdecimal() else None)
        sending = asyncio.ensure_future(_send(call, upload))
        try:
            yield upload
        finally:
            sending.cancel()
            upload.cut()

    def cut(self) -> None:
        for exchange in list(self._exchanges):
            exchange.cancel()

    async def _head(
        self, call: Call, choice: Choice, credential: tuple[str, str], body: bytes | Upload
    ) -> Exchange:
        is_read = choice.operation.name in _READ
        head: asyncio.Future[Exchange] = asyncio.get_running_loop().create_future()
        asked_ns = time.perf_counter_ns()
        try:
            self._relay.send(
                head,
                method=call.scope.method,
                url=target(call, choice),
                headers=callers.forwarded(call.scope.headers, credential, identity=is_read),
                body=body,
                dialect=choice.route.row.meter,
                hide_usage=False,
                buffer_limit=self._buffer_limit if is_read else 0,
            )
            return await head
        except UpstreamError as error:
            raise upstream_refusal(error, choice.route) from error
        finally:
            call.waited_ns += time.perf_counter_ns() - asked_ns

    async def _stream(self, call: Call, exchange: Exchange, headers: answers.Pairs) -> None:
        transport = call.protocol.response_stream(exchange.status, headers)
        gone = asyncio.ensure_future(call.protocol.client_disconnect())
        gone.add_done_callback(lambda _: exchange.cancel())
        self._exchanges.add(exchange)
        try:
            await pump(transport, exchange)
        except ProtocolClosed:
            pass
        finally:
            self._exchanges.discard(exchange)
            gone.cancel()
            exchange.cancel()


async def _send(call: Call, upload: Upload) -> None:
    """Piece by piece, no faster than the provider takes them."""
    loop, tail = asyncio.get_running_loop(), b""
    try:
        async for piece in call.protocol:
            taken: asyncio.Future[bool] = loop.create_future()
            pushed = upload.push(taken, piece)
            if not (await taken if pushed is None else pushed):
                return
            tail = (tail + piece)[-_LONGEST_END:]
        # The server ends a body alike when its caller has gone; a form says itself where it ends.
        if _closes(tail, call.scope.headers.get("content-type", "")):
            upload.finish()
    finally:
        upload.cut()


def _closes(tail: bytes, content_type: str) -> bool:
    """Whether these are the last bytes of a whole form (RFC 2046)."""
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_boundary("")
    return f"--{boundary}--".encode() in tail


def _choice(call: Call, live: Live) -> Choice:
    model = call.match.values.get("model", "")
    found = live.routes.serving(call.match, model)
    if found is None:
        where = f" at {call.match.route!r}" if call.match.route else ""
        msg = f"No provider route serves {call.scope.path}{where}; an operator can add one."
        raise Refusal("no_provider_route", msg)
    return Choice(*found, model)


def _headers(call: Call, choice: Choice) -> answers.Pairs:
    return [
        *answers.identity(str(call.decision_id), call.trace),
        ("x-spendra-routed", choice.route.name),
        *answers.latency(call.started_ns, call.waited_ns),
    ]


def _shown(call: Call, live: Live, principal: Principal, choice: Choice, body: bytes) -> bytes:
    """Lists of models show what the key may use, and results of batches are to be had here."""
    if choice.operation.name == "messages_batches_get":
        host = call.scope.headers.get("host", "")
        return led_here(body, f"{call.scope.scheme}://{host}{call.scope.path}/results")
    if choice.operation.name not in _LISTS or call.scope.method != "GET":
        return body
    return catalogs.allowed(body, live, principal, choice.route.provider)
