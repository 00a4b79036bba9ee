"""The way to the provider and back: bytes as they come, the meter beside them."""

import asyncio
import time

from granian._granian import RSGIHTTPStreamTransport as Transport
from granian.rsgi import ProtocolClosed

from spendra._hot import Exchange, Relay, UpstreamError, rewrite
from spendra.snapshot import RouteRecord
from spendra_sidecar.config import Config
from spendra_sidecar.metrics import Metrics
from spendra_sidecar.serving import answers, callers, refusals
from spendra_sidecar.serving.call import REQUEST_DIALECT, Admission, Call
from spendra_sidecar.serving.outcomes import Attempt, conclude
from spendra_sidecar.serving.refusals import Refusal

_SHUTTING_DOWN = Refusal("shutting_down", "This sidecar is shutting down; try again.")


class Forwarding:
    """Sends admitted requests upstream and relays their answers."""

    def __init__(self, config: Config, relay: Relay, metrics: Metrics) -> None:
        self._buffer_limit = config.max_body_bytes
        self._relay = relay
        self._metrics = metrics

    async def forward(self, call: Call, admission: Admission, attempt: Attempt) -> None:
        """Whatever happens is noted in `attempt`. Raises Refusal before any byte was answered."""
        self._refuse_if_late(admission)
        self._metrics.added_latency.observe((time.perf_counter_ns() - call.started_ns) / 1e9)
        exchange = await self._head(call, admission, attempt)
        attempt.status = exchange.status
        if exchange.body is not None:
            self._answer_whole(call, admission, attempt, exchange)
        else:
            await self._answer_stream(call, admission, attempt, exchange)

    def _refuse_if_late(self, admission: Admission) -> None:
        """A process that slept must not send what others have given up on."""
        if time.monotonic() > admission.reservation.dispatch_by:
            msg = "The reservation took too long to be trusted; nothing was sent. Try again."
            raise Refusal("dispatch_too_late", msg, retry_after_ms=1000)

    async def _head(self, call: Call, admission: Admission, attempt: Attempt) -> Exchange:
        asked_ns = time.perf_counter_ns()
        head = self._send(call, admission, attempt)
        try:
            return await head
        except UpstreamError as error:
            attempt.error = error.with_traceback(None)
            raise _upstream_refusal(error, admission.judged.route) from error
        except asyncio.CancelledError:
            if not head.cancelled():
                raise
            raise _SHUTTING_DOWN from None
        finally:
            call.waited_ns += time.perf_counter_ns() - asked_ns

    def _send(
        self, call: Call, admission: Admission, attempt: Attempt
    ) -> "asyncio.Future[Exchange]":
        judged = admission.judged
        inspected, decision, route = judged.inspected, judged.decision, judged.route
        hide_usage = inspected.stream and not inspected.include_usage
        body = call.body
        if hide_usage or decision.write_cap:
            cap = decision.output_cap if decision.write_cap else None
            body = rewrite(
                body, REQUEST_DIALECT, include_usage=hide_usage, output_cap=cap, model=None
            )
        head: asyncio.Future[Exchange] = asyncio.get_running_loop().create_future()
        attempt.exchange = self._relay.send(
            head,
            method="POST",
            url=f"{route.base_url}/v1/chat/completions",
            headers=callers.forwarded(call.scope.headers, route.credential, identity=hide_usage),
            body=body,
            dialect=route.dialect,
            hide_usage=hide_usage,
            buffer_limit=self._buffer_limit,
        )
        return head

    def _answer_whole(
        self, call: Call, admission: Admission, attempt: Attempt, exchange: Exchange
    ) -> None:
        end = conclude(attempt)
        headers = _headers(call, admission, exchange) + answers.final(end)
        call.protocol.response_bytes(exchange.status, headers, exchange.body or b"")

    async def _answer_stream(
        self, call: Call, admission: Admission, attempt: Attempt, exchange: Exchange
    ) -> None:
        headers = _headers(call, admission, exchange) + answers.estimated(admission.reservation)
        transport = call.protocol.response_stream(exchange.status, headers)
        gone = asyncio.ensure_future(call.protocol.client_disconnect())
        gone.add_done_callback(lambda _: exchange.cancel())
        try:
            await self._pump(transport, attempt, exchange)
            attempt.hung_up = gone.done()
            if not attempt.hung_up:
                await self._end_stream(call, transport, attempt, admission)
        except ProtocolClosed:
            attempt.hung_up = True
        finally:
            gone.cancel()
            exchange.cancel()

    async def _pump(self, transport: Transport, attempt: Attempt, exchange: Exchange) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                future: asyncio.Future[bytes | None] = loop.create_future()
                chunk = exchange.next(future)
                if chunk is False:
                    chunk = await future
                if not chunk or chunk is True:
                    break
                await transport.send_bytes(chunk)
        except UpstreamError as error:
            # Its traceback would keep this frame and with it the transport, whose end is the
            # caller's end of stream.
            attempt.error = error.with_traceback(None)
        except asyncio.CancelledError:
            # A future that was cancelled: the exchange was, because the caller left or we stop.
            if not future.cancelled():
                raise

    async def _end_stream(
        self, call: Call, transport: Transport, attempt: Attempt, admission: Admission
    ) -> None:
        """A stream that was cut must not look like one that ended well."""
        refusal = _why_ended(attempt, admission.judged.route)
        if refusal is not None:
            await transport.send_bytes(refusals.stream_event(refusal, str(call.decision_id)))
        elif call.scope.headers.get("x-spendra-trailer") == "cost":
            await transport.send_bytes(answers.trailer(conclude(attempt)))


def _headers(call: Call, admission: Admission, exchange: Exchange) -> answers.Pairs:
    return (
        exchange.headers
        + answers.identity(str(call.decision_id), call.trace)
        + answers.admitted(admission.reservation, admission.held, admission.judged.decision)
        + answers.latency(call.started_ns, call.waited_ns)
    )


def _why_ended(attempt: Attempt, route: RouteRecord) -> Refusal | None:
    """None: the answer ended well."""
    if attempt.stopped:
        return _SHUTTING_DOWN
    return None if attempt.error is None else _upstream_refusal(attempt.error, route)


def _upstream_refusal(error: UpstreamError, route: RouteRecord) -> Refusal:
    name = route.provider
    if not error.may_have_left:
        return Refusal("upstream_unreachable", f"{name} could not be reached: {error}.")
    if error.kind in {"first_byte_timeout", "idle_timeout"}:
        return Refusal("upstream_timeout", f"{name} did not answer in time: {error}.")
    return Refusal("upstream_cut", f"{name} ended its answer early: {error}.")
