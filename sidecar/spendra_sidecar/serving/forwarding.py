"""The way to the provider and back: bytes as they come, the meter beside them."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from granian._granian import RSGIHTTPStreamTransport as Transport
from granian.rsgi import ProtocolClosed

from spendra._hot import Exchange, Relay, UpstreamError, rewrite
from spendra_sidecar.config import Config
from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.ledger.words import Outcome
from spendra_sidecar.metrics import Metrics
from spendra_sidecar.serving import answers, callers, generations, protocols, requests
from spendra_sidecar.serving.breakers import Breakers
from spendra_sidecar.serving.call import Admission, Call, Choice, Judged, is_array
from spendra_sidecar.serving.credentials import Credentials
from spendra_sidecar.serving.outcomes import BACKGROUND, Attempt, conclude
from spendra_sidecar.serving.pending import Pending
from spendra_sidecar.serving.refusals import Refusal
from spendra_sidecar.serving.watching import Watch
from spendra_sidecar.snapshots.routes import Route, filled

_BACKGROUND = frozenset(("responses", "interactions"))
_SHUTTING_DOWN = Refusal("shutting_down", "This sidecar is shutting down; try again.")


class Forwarding:
    """Sends admitted requests upstream and relays their answers."""

    def __init__(
        self,
        config: Config,
        relay: Relay,
        credentials: Credentials,
        breakers: Breakers,
        pending: Pending,
        ledger: Ledger,
        metrics: Metrics,
    ) -> None:
        self._pending = pending
        self._buffer_limit = config.max_body_bytes
        self._relay = relay
        self._credentials = credentials
        self._breakers = breakers
        self._ledger = ledger
        self._metrics = metrics

    async def forward(self, call: Call, admission: Admission, attempt: Attempt) -> bool:
        """Whether the caller has an answer; if not, something else may be tried.

        Whatever happens is noted in `attempt`. Raises Refusal before any byte was answered.
        """
        credential = await self._credentials.header(
            admission.judged.route, admission.judged.operation
        )
        self._refuse_if_late(admission)
        self._metrics.added_latency.observe((time.perf_counter_ns() - call.started_ns) / 1e9)
        try:
            exchange = await self._head(call, admission, attempt, credential)
        except UpstreamError as error:
            attempt.error = error.with_traceback(None)
            self._breakers.failed(admission.judged.route.name)
            if admission.spare:
                return False
            raise upstream_refusal(error, admission.judged.route) from error
        attempt.status = exchange.status
        if self._has_failed(admission, exchange) and admission.spare:
            exchange.cancel()
            return False
        if exchange.body is not None:
            await self._answer_whole(call, admission, attempt, exchange)
        else:
            await self._answer_stream(call, admission, attempt, exchange)
        return True

    async def recorded(self, admission: Admission, attempt: Attempt) -> Outcome | None:
        """What the provider's own record says of an attempt whose answer was cut."""
        generation = generations.generation_of(attempt)
        if not generation:
            return None
        route = admission.judged.route
        credential = await self._credentials.header(route, admission.judged.operation)
        return await generations.recorded(self._relay, route, attempt, generation, credential)

    def _has_failed(self, admission: Admission, exchange: Exchange) -> bool:
        """Whether another route may do better; the breaker is told either way."""
        route = admission.judged.route
        if exchange.status not in route.row.retry_statuses:
            self._breakers.succeeded(route.name)
            return False
        self._breakers.failed(route.name, answers.retry_after_s(exchange.headers))
        return True

    def _refuse_if_late(self, admission: Admission) -> None:
        """A process that slept must not send what others have given up on."""
        if time.monotonic() > admission.reservation.dispatch_by:
            msg = "The reservation took too long to be trusted; nothing was sent. Try again."
            raise Refusal("dispatch_too_late", msg, retry_after_ms=1000)

    async def _head(
        self, call: Call, admission: Admission, attempt: Attempt, credential: tuple[str, str]
    ) -> Exchange:
        asked_ns = time.perf_counter_ns()
        head = self._send(call, admission, attempt, credential)
        try:
            return await head
        except asyncio.CancelledError:
            if not head.cancelled():
                raise
            raise _SHUTTING_DOWN from None
        finally:
            call.waited_ns += time.perf_counter_ns() - asked_ns

    def _send(
        self, call: Call, admission: Admission, attempt: Attempt, credential: tuple[str, str]
    ) -> "asyncio.Future[Exchange]":
        judged = admission.judged
        hide_usage = judged.inspected.stream and not judged.inspected.include_usage
        url = target(call, judged)
        identity = hide_usage or attempt.background
        body = _body(call, judged, hide_usage=hide_usage)
        head: asyncio.Future[Exchange] = asyncio.get_running_loop().create_future()
        attempt.exchange = self._relay.send(
            head,
            method=call.scope.method,
            url=url,
            headers=callers.forwarded(call.scope.headers, credential, identity=identity),
            body=body,
            dialect="" if attempt.is_batch else _meter(judged),
            hide_usage=hide_usage,
            buffer_limit=self._buffer_limit,
            streamed=attempt.stream,
        )
        return head

    async def _answer_whole(
        self, call: Call, admission: Admission, attempt: Attempt, exchange: Exchange
    ) -> None:
        end = conclude(attempt)
        is_final = end.reason != BACKGROUND
        if not is_final:
            attempt.is_kept = await self._pending.keep(attempt, exchange.body or b"")
        cost = answers.final(end) if is_final else answers.estimated(admission.reservation)
        headers = _headers(call, admission, exchange) + cost
        call.protocol.response_bytes(exchange.status, headers, exchange.body or b"")

    async def _answer_stream(
        self, call: Call, admission: Admission, attempt: Attempt, exchange: Exchange
    ) -> None:
        headers = _headers(call, admission, exchange) + answers.estimated(admission.reservation)
        transport = call.protocol.response_stream(exchange.status, headers)
        gone = asyncio.ensure_future(call.protocol.client_disconnect())
        gone.add_done_callback(lambda _: exchange.cancel())
        try:
            attempt.error = await self._relay_stream(transport, admission, attempt, exchange)
            attempt.hung_up = gone.done()
            if not attempt.hung_up:
                await self._end_stream(call, transport, attempt, admission)
        except ProtocolClosed:
            attempt.hung_up = True
        finally:
            gone.cancel()
            exchange.cancel()

    async def _relay_stream(
        self, transport: Transport, admission: Admission, attempt: Attempt, exchange: Exchange
    ) -> UpstreamError | None:
        decision = admission.judged.decision
        if not (decision.watched and attempt.stream):
            return await pump(transport, exchange)
        watch = Watch(self._ledger, admission.reservation, decision)

        async def allowed() -> bool:
            attempt.ended_by = await watch.look(exchange)
            return attempt.ended_by is None

        return await pump(transport, exchange, allowed)

    async def _end_stream(
        self, call: Call, transport: Transport, attempt: Attempt, admission: Admission
    ) -> None:
        """A stream that was cut must not look like one that ended well."""
        refusal = _why_ended(attempt, admission.judged.route)
        if refusal is not None:
            framing = _framing(call, admission.judged)
            ending = protocols.ending(refusal, str(call.decision_id), call.match.protocol, framing)
            await transport.send_bytes(ending)
        elif call.scope.headers.get("x-spendra-trailer") == "cost":
            await transport.send_bytes(answers.trailer(conclude(attempt)))


async def pump(
    transport: Transport, exchange: Exchange, allowed: Callable[[], Awaitable[bool]] | None = None
) -> UpstreamError | None:
    """Everything that comes, as it comes; the error that ended it, if one did.

    `allowed` is asked before each piece; nothing more is passed once it says no.
    """
    loop = asyncio.get_running_loop()
    try:
        while True:
            future: asyncio.Future[bytes | None] = loop.create_future()
            chunk = exchange.next(future)
            if chunk is False:
                chunk = await future
            if not chunk or chunk is True:
                return None
            if allowed is not None and not await allowed():
                exchange.cancel()
                return None
            await transport.send_bytes(chunk)
    except UpstreamError as error:
        # Its traceback would keep this frame and with it the transport, whose end is the
        # caller's end of stream.
        return error.with_traceback(None)
    except asyncio.CancelledError:
        # A future that was cancelled: the exchange was, because the caller left or we stop.
        if not future.cancelled():
            raise
        return None


def target(call: Call, judged: Choice | Judged) -> str:
    """The provider's URL. Raises Refusal where a place of its path is not known."""
    route = judged.route
    path = route.path(judged.operation, filled(call.match.values, judged.model))
    if path is None:
        msg = (
            f"The route {route.name!r} needs `parameters` (project, location) for this path; "
            f"an operator can set them: PUT /v1/providers/{route.name}."
        )
        raise Refusal("route_incomplete", msg)
    query = callers.forwarded_query(call.scope.query_string)
    return f"{route.origin}{path}?{query}" if query else f"{route.origin}{path}"


def _body(call: Call, judged: Judged, *, hide_usage: bool) -> bytes:
    """The body as it came, with what was decided written into it."""
    inspected, decision, operation = judged.inspected, judged.decision, judged.operation
    asked_model = inspected.model
    model = judged.model if asked_model and asked_model != judged.model else None
    is_stream = requests.is_stream(call.match, inspected)
    # What is not a stream cannot be watched: it gets its cap after all.
    write_cap = decision.write_cap or (decision.watched and not is_stream)
    changes = hide_usage or write_cap or model or inspected.hosted_tools
    if not changes or operation.form or not operation.body:
        return call.body
    return rewrite(
        call.body,
        operation.body,
        include_usage=hide_usage,
        output_cap=decision.output_cap if write_cap else None,
        model=model,
        limit_tools=inspected.hosted_tools,
    )


def _meter(judged: Judged) -> str:
    """Anthropic's protocol is metered alike wherever it is spoken; OpenAI's has dialects."""
    protocol = judged.operation.protocol
    return "anthropic" if protocol == "anthropic" else judged.route.row.meter


def _framing(call: Call, judged: Judged) -> str:
    if is_array(call):
        return "array"
    if judged.operation.name == "responses":
        return "responses"
    is_cohere_v1 = call.match.protocol == "cohere" and judged.operation.path.startswith("/v1/")
    return "lines" if is_cohere_v1 else "events"


def _headers(call: Call, admission: Admission, exchange: Exchange) -> answers.Pairs:
    return (
        exchange.headers
        + answers.identity(str(call.decision_id), call.trace)
        + answers.admitted(admission, requests.asked(call).model, call.warning)
        + answers.latency(call.started_ns, call.waited_ns)
    )


def _why_ended(attempt: Attempt, route: Route) -> Refusal | None:
    """None: the answer ended well."""
    if attempt.ended_by is not None:
        return attempt.ended_by
    if attempt.stopped:
        return _SHUTTING_DOWN
    return None if attempt.error is None else upstream_refusal(attempt.error, route)


def upstream_refusal(error: UpstreamError, route: Route) -> Refusal:
    name = route.name
    if not error.may_have_left:
        return Refusal("upstream_unreachable", f"{name} could not be reached: {error}.")
    if error.kind in {"first_byte_timeout", "idle_timeout"}:
        return Refusal("upstream_timeout", f"{name} did not answer in time: {error}.")
    return Refusal("upstream_cut", f"{name} ended its answer early: {error}.")


def is_background(call: Call) -> bool:
    """It may be answered before it is done. A false alarm costs a compressed answer."""
    return call.match.operation.name in _BACKGROUND and b'"background"' in call.body


def attempt_of(call: Call, admission: Admission) -> Attempt:
    judged, reservation = admission.judged, admission.reservation
    return Attempt(
        provider=reservation.provider,
        requested_model=reservation.model,
        body=call.body,
        estimated_input_tokens=judged.decision.estimated_input_tokens,
        prices=judged.live.prices,
        reserved_ms=int(reservation.reserved_at.timestamp() * 1000),
        stream=requests.is_stream(call.match, judged.inspected),
        reservation=reservation,
        has_ceiling=judged.has_ceiling,
        background=is_background(call) or call.parts is not None,
        is_batch=call.parts is not None,
        characters=judged.inspected.billable_characters,
        # A chat searches once, and only the request shows it.
        web_searches=judged.inspected.web_searches if judged.operation.body == "openai_chat" else 0,
    )
