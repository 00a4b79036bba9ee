"""Spans of requests and of what was asked of providers, sent over OTLP where a collector is named.

OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT` and others) say where, how much and as
whom; names are those of its conventions for HTTP and generative AI. Nothing of a prompt, an answer
or a key is in a span.
"""

import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)

from spendra.money import nanousd_to_usd
from spendra_sidecar.config import Config
from spendra_sidecar.serving.call import Call, Tried
from spendra_sidecar.serving.outcomes import Attempt, conclude
from spendra_sidecar.serving.refusals import Refusal

_PROVIDERS: Final = {
    "google": "gcp.gemini",
    "vertex": "gcp.vertex_ai",
    "azure": "azure.ai.openai",
    "azure_anthropic": "anthropic",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
"""Providers that the conventions call otherwise."""
_OPERATIONS: Final = {
    "embeddings": "embeddings",
    "completions": "text_completion",
    "complete": "text_completion",
    "fim": "text_completion",
    "generate": "generate_content",
    "interactions": "generate_content",
}
"""The operations that are no chat, as the conventions call them."""
_CHATS: Final = frozenset(
    ("chat", "cohere_chat", "messages", "responses", "agents", "azure_anthropic")
)
_CLOSE_S: Final = 3.0
_FIRST_ERROR_STATUS: Final = 400
_FIRST_FAULT_STATUS: Final = 500


class _Ids(RandomIdGenerator):
    """The ids that the answer's headers name."""

    trace_id, span_id = 0, 0

    def generate_trace_id(self) -> int:
        return self.trace_id or super().generate_trace_id()

    def generate_span_id(self) -> int:
        given, self.span_id = self.span_id, 0
        return given or super().generate_span_id()


class Tracing:
    """Spans are handed to a thread that sends them in groups; a queue that is full drops them."""

    def __init__(self, config: Config) -> None:
        self._ids = _Ids()
        self._provider = TracerProvider(
            resource=_resource(config), id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("spendra")

    def record(self, call: Call, refusal: Refusal | None) -> None:
        """A request that is over, with each attempt below it."""
        now = time.time_ns()
        begun = now - (time.perf_counter_ns() - call.started_ns)
        self._ids.trace_id, self._ids.span_id = (int(text, 16) for text in call.trace)
        span = self._tracer.start_span(
            f"{call.scope.method} {call.match.operation.path}",
            _caller_of(call),
            SpanKind.SERVER,
            _of_request(call, refusal),
            start_time=begun,
        )
        if refusal is not None and refusal.kind.status >= _FIRST_FAULT_STATUS:
            span.set_status(Status(StatusCode.ERROR))
        if span.is_recording():
            below = trace.set_span_in_context(span)
            for one in call.tried:
                self._record_attempt(call, one, below)
        span.end(now)

    def _record_attempt(self, call: Call, tried: Tried, below: Any) -> None:
        attempt = tried.attempt
        operation = _operation(call.match.operation.name)
        span = self._tracer.start_span(
            f"{operation} {attempt.requested_model}",
            below,
            SpanKind.CLIENT,
            _of_attempt(operation, tried),
            start_time=tried.begun_ns,
        )
        _fail(span, attempt)
        span.end(tried.ended_ns)

    def close(self) -> None:
        """Sends what is left, and gives a collector that is away a few seconds for it."""
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        sending.join(_CLOSE_S)


def _resource(config: Config) -> Resource:
    """Named by `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES`, else by what it is."""
    found = Resource.create({"service.instance.id": config.sidecar_id})
    if str(found.attributes["service.name"]).startswith("unknown_service"):
        found = found.merge(Resource({"service.name": "spendra-sidecar"}))
    return found


def _caller_of(call: Call) -> Any:
    """The caller's span, by its `traceparent`."""
    parts = call.scope.headers.get("traceparent", "").lower().split("-")
    if len(parts) < 4 or parts[1] != call.trace[0]:  # noqa: PLR2004 - W3C form
        return None
    try:
        span_id, flags = int(parts[2], 16), TraceFlags(int(parts[3], 16))
    except ValueError:
        return None
    remote = SpanContext(int(parts[1], 16), span_id, is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(NonRecordingSpan(remote)) if remote.is_valid else None


def _of_request(call: Call, refusal: Refusal | None) -> Mapping[str, Any]:
    status = call.tried[-1].attempt.status if refusal is None and call.tried else None
    found: dict[str, Any] = {
        "http.request.method": call.scope.method,
        "url.path": call.scope.path,
        "spendra.decision_id": str(call.decision_id),
        "spendra.attempts": len(call.tried),
    }
    if refusal is not None:
        found |= {"error.type": refusal.code, "http.response.status_code": refusal.kind.status}
    elif status is not None:
        found["http.response.status_code"] = status
    return found


def _of_attempt(operation: str, tried: Tried) -> Mapping[str, Any]:
    attempt, judged = tried.attempt, tried.admission.judged
    provider = judged.route.provider
    found: dict[str, Any] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        "gen_ai.request.model": judged.model,
        "gen_ai.request.stream": attempt.stream,
        "server.address": judged.route.origin,
        "spendra.route": judged.route.name,
        "spendra.reservation_id": str(attempt.reservation.id),
        "spendra.reserved_usd": nanousd_to_usd(attempt.reservation.amount_nanousd),
    }
    if judged.inspected.output_limit is not None:
        found["gen_ai.request.max_tokens"] = judged.inspected.output_limit
    if attempt.status is not None:
        found["http.response.status_code"] = attempt.status
    return found if attempt.is_kept else found | _of_end(attempt)


def _of_end(attempt: Attempt) -> dict[str, Any]:
    end = conclude(attempt)
    return {
        "gen_ai.response.model": end.model,
        "gen_ai.usage.input_tokens": end.tokens.input,
        "gen_ai.usage.output_tokens": end.tokens.output,
        "gen_ai.usage.cache_read.input_tokens": end.tokens.cached_input,
        "gen_ai.usage.cache_creation.input_tokens": end.tokens.cache_write,
        "gen_ai.usage.reasoning.output_tokens": end.tokens.reasoning,
        "spendra.outcome": end.outcome,
        "spendra.reason": end.reason,
        "spendra.usage_confidence": end.confidence,
        "spendra.cost_usd": nanousd_to_usd(end.cost_nanousd),
        "spendra.price_version": end.price_version,
    }


def _fail(span: Span, attempt: Attempt) -> None:
    kind = attempt.error.kind if attempt.error is not None else None
    if kind is None and (attempt.status or 0) >= _FIRST_ERROR_STATUS:
        kind = str(attempt.status)
    if kind is not None:
        span.set_attribute("error.type", kind)
        span.set_status(Status(StatusCode.ERROR))


def _operation(name: str) -> str:
    return "chat" if name in _CHATS else _OPERATIONS.get(name, name)
