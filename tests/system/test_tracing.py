"""Spans of a running sidecar, as an OTLP collector receives them."""

import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import openai
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.system.conftest import System, eventually, running

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
ASKED: Any = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "a secret recipe"}],
    "max_tokens": 40,
}


@dataclass
class Collector:
    """What it was sent, and where it listens."""

    url: str = ""
    received: list[ExportTraceServiceRequest] = field(default_factory=list)

    def spans(self, decision_id: str) -> list[Any]:
        """Of one request, the request's own first."""
        found = [
            span
            for one in self.received
            for resource in one.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        own = [s for s in found if told(s).get("spendra.decision_id") == decision_id]
        return own + [s for s in found if own and s.parent_span_id == own[0].span_id]


def told(span: Any) -> dict[str, Any]:
    """Its attributes."""
    return {
        one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in span.attributes
    }


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield collector
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def traced(provider: str, collector: Collector) -> Iterator[System]:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with running(provider, env=env) as system:
        yield system


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_is_a_span_below_the_callers_and_its_attempt_below_it(
    traced: System, collector: Collector, *, stream: bool
) -> None:
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
    raw = traced.openai().chat.completions.with_raw_response
    answer = raw.create(**ASKED, stream=stream, extra_headers=headers)
    parsed = answer.parse()
    if stream:
        list(parsed)
    decision_id = answer.headers["x-spendra-decision-id"]
    booked = traced.ended(decision_id)["attempts"][0]
    request, attempt = eventually(lambda: collector.spans(decision_id), lambda s: len(s) == 2)
    assert {request.trace_id.hex(), attempt.trace_id.hex()} == {TRACE}
    assert request.parent_span_id.hex() == CALLER
    assert request.span_id.hex() == answer.headers["x-spendra-span-id"]
    assert (request.name, request.kind) == ("POST /v1/chat/completions", 2)
    assert told(request)["http.response.status_code"] == 200
    assert (attempt.name, attempt.kind) == ("chat gpt-4o-mini", 3)
    said = told(attempt)
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == "openai"
    assert said["gen_ai.request.model"] == "gpt-4o-mini"
    assert said["gen_ai.request.max_tokens"] == 40
    assert said["gen_ai.request.stream"] is stream
    assert said["gen_ai.usage.input_tokens"] == booked["usage"]["input_tokens"]
    assert said["gen_ai.usage.output_tokens"] == booked["usage"]["output_tokens"] > 0
    assert said["spendra.cost_usd"] == booked["cost_usd"]
    assert request.start_time_unix_nano <= attempt.start_time_unix_nano
    assert attempt.start_time_unix_nano < attempt.end_time_unix_nano
    assert attempt.end_time_unix_nano <= request.end_time_unix_nano


def test_a_refusal_is_a_span_that_says_why(traced: System, collector: Collector) -> None:
    key = traced.new_key({"project": "poor"})["key"]
    traced.new_budget({"project": "poor"}, "0.000001")
    with pytest.raises(openai.APIStatusError) as refused:
        traced.openai(key, max_retries=0).chat.completions.create(**ASKED)
    decision_id = refused.value.response.headers["x-spendra-decision-id"]
    (request,) = eventually(lambda: collector.spans(decision_id), lambda s: len(s) == 1)
    assert told(request)["error.type"] == "budget_exhausted"
    assert told(request)["http.response.status_code"] == 402


def test_a_trace_that_the_caller_does_not_sample_is_not_sent(
    traced: System, collector: Collector
) -> None:
    raw = traced.openai().chat.completions.with_raw_response
    unsampled = raw.create(**ASKED, extra_headers={"traceparent": f"00-{TRACE}-{CALLER}-00"})
    sampled = raw.create(**ASKED)
    ids = [one.headers["x-spendra-decision-id"] for one in (unsampled, sampled)]
    eventually(lambda: collector.spans(ids[1]), lambda s: len(s) == 2)
    assert collector.spans(ids[0]) == []


def test_nothing_of_what_was_said_and_no_key_is_sent(traced: System, collector: Collector) -> None:
    answer = traced.openai().chat.completions.with_raw_response.create(**ASKED)
    decision_id = answer.headers["x-spendra-decision-id"]
    eventually(lambda: collector.spans(decision_id), lambda s: len(s) == 2)
    sent = b"".join(one.SerializeToString() for one in collector.received)
    assert b"secret recipe" not in sent
    assert traced.up["api_key"].encode() not in sent
    assert traced.up["api_key"].rpartition("_")[2].encode() not in sent


def test_a_collector_that_is_away_costs_no_request(provider: str) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with running(provider, env=env) as system:
        for _ in range(20):
            system.openai().chat.completions.create(**ASKED)
        assert httpx.get(f"{system.up['sidecar_url']}/readyz").status_code == 200
