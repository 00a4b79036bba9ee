"""What is read out of batches and their results."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from spendra._hot import PriceBook
from spendra_sidecar.ledger.words import Outcome, Reservation
from spendra_sidecar.serving.batches.asked import inline, lines
from spendra_sidecar.serving.batches.results import Sum, Where, led_here, where
from spendra_sidecar.serving.refusals import Refusal

RATES = {"input_mtok": "2", "output_mtok": "4"}
BATCH = {"tier": "batch", "rates": {"input_mtok": "1", "output_mtok": "2"}}
MODELS = [
    {"id": "m", "match": {"equals": "m"}, "prices": [{"rates": RATES}], "tiers": [BATCH]},
    {"id": "plain", "match": {"equals": "plain"}, "prices": [{"rates": RATES}]},
]
PRICES = PriceBook.load(
    json.dumps({"version": "v", "providers": [{"id": "openai", "models": MODELS}]}).encode()
)


def reservation() -> Reservation:
    return Reservation(
        id=uuid4(), decision_id=uuid4(), attempt=1, reserved_at=datetime.now(UTC),
        amount_nanousd=10**6, estimated_nanousd=10, accounts=(), limits=[], provider="openai",
        model="m", policy_version=1, price_version="v", facts="{}", dispatch_by=0.0,
    )  # fmt: skip


def answered(model: str, **usage: Any) -> bytes:
    told = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, **usage}
    body = {"model": model, "choices": [], "usage": told}
    return json.dumps({"custom_id": "a", "response": {"status_code": 200, "body": body}}).encode()


def summed(*results: bytes) -> Outcome:
    total = Sum(reservation(), PRICES, "openai")
    for result in results:
        total.add(result)
    return total.outcome()


def test_results_are_summed_at_the_price_of_a_batch() -> None:
    end = summed(answered("m"), answered("m"), answered("plain"))
    assert end.cost_nanousd == 2 * (10 * 1000 + 5 * 2000) + 10 * 2000 + 5 * 4000
    assert (end.tokens.input, end.tokens.output, end.confidence) == (30, 15, "reported")


@pytest.mark.parametrize(
    "line",
    [
        b'{"response": {"status_code": 400, "body": {"error": {"message": "x"}}}}',
        b'{"response": null, "error": {"code": "batch_expired"}}',
        b'{"result": {"type": "errored", "error": {"type": "error"}}}',
    ],
)
def test_a_request_that_failed_costs_nothing(line: bytes) -> None:
    assert summed(line).cost_nanousd == 0


@pytest.mark.parametrize("line", [b"{", answered("m", completion_tokens=0) + b"x"])
def test_what_cannot_be_read_is_booked_at_the_worst_case(line: bytes) -> None:
    end = summed(answered("m"), line)
    assert (end.cost_nanousd, end.confidence) == (10**6, "worst_case")


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"status": "in_progress", "output_file_id": None}, False),
        ({"status": "completed", "output_file_id": "f"}, Where("files_content", {"id": "f"})),
        ({"status": "failed"}, True),
        ({"status": "cancelled", "output_file_id": "f"}, Where("files_content", {"id": "f"})),
        ({"processing_status": "in_progress"}, False),
        ({"processing_status": "ended"}, Where("messages_batches_results", {"id": "b"})),
    ],
)
def test_where_the_results_are(answer: dict[str, Any], found: object) -> None:
    assert where(json.dumps({"id": "b", **answer}).encode()) == found
    assert where(b"nothing") is False


def test_results_are_to_be_had_here() -> None:
    theirs = b'{"id": "b", "results_url": "https://api.example.com/b/results"}'
    assert led_here(theirs, "http://here/b/results") == (
        b'{"id": "b", "results_url": "http://here/b/results"}'
    )
    for other in (b'{"id": "b", "results_url": null}', b"{}", b"no"):
        assert led_here(other, "http://here") == other


def test_requests_keep_their_bytes() -> None:
    body = b'{"requests": [{"custom_id": "a", "params": {"model" :"m"}}]}'
    (part,) = inline(body)
    assert (part.number, part.body, part.operation.name) == (1, b'{"model" :"m"}', "messages")
    (part,) = lines(b'\n{"url": "/chat/completions", "body": {"a":1}}\n')
    assert (part.body, part.operation.name) == (b'{"a":1}', "chat")


@pytest.mark.parametrize("content", [b"", b"\n", b'{"url": "/v1/files", "body": {}}', b"[1]"])
def test_a_batch_that_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(Refusal):
        lines(content)
