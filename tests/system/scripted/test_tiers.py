"""The tier that served a request prices it, whatever was asked for and wherever it is told."""

from typing import Any

import pytest

from tests.system.scripted.bodies import (
    DONE,
    GEMINI,
    GENERATE,
    MESSAGES,
    RESPONSES,
    STREAM,
    chat,
    counts,
    event,
    gemini,
    message,
    named,
    piece,
    response,
    tokens,
    units,
)
from tests.system.scripted.product import CHAT, Product
from tests.system.scripted.upstream import Answer, said, streamed

FIVE = {"default": (1250, 10_000), "flex": (625, 5_000), "priority": (2500, 20_000)}
"""gpt-5, nano-USD a token."""
VERTEX = "v1/projects/p/locations/l/publishers/google/models/gemini-2.5-flash:generateContent"


def of_five(tier: str) -> int:
    of_input, of_output = FIVE[tier]
    return 100 * of_input + 10 * of_output


def booked(product: Product, kind: str, path: str, body: object, answer: Answer) -> dict[str, Any]:
    """`booked` of the product checks that the hold was enough for any tier."""
    return product.booked(f"/v1/{product.route(kind, answer)}/{path}", body)


@pytest.mark.parametrize("asked", ["auto", "flex", "priority", None])
@pytest.mark.parametrize("served", sorted(FIVE))
def test_the_tier_of_the_answer_counts_and_not_the_one_that_was_asked_for(
    product: Product, asked: str | None, served: str
) -> None:
    body = {**CHAT, "model": "gpt-5"} | ({"service_tier": asked} if asked else {})
    answer = said(chat("gpt-5", tokens(100, 10), service_tier=served))
    decision = booked(product, "openai", "chat/completions", body, answer)
    assert decision["cost_nanousd"] == of_five(served)


def test_an_answer_without_a_tier_is_of_the_ordinary_one(product: Product) -> None:
    body = {**CHAT, "model": "gpt-5", "service_tier": "priority"}
    answer = said(chat("gpt-5", tokens(100, 10)))
    decision = booked(product, "openai", "chat/completions", body, answer)
    assert decision["cost_nanousd"] == of_five("default")


def test_a_streams_tier_is_found(product: Product) -> None:
    pieces = [piece("gpt-5", "Yes.", last=True), piece("gpt-5", usage=tokens(100, 10))]
    flow = streamed(*({**each, "service_tier": "flex"} for each in pieces), DONE)
    body = {**CHAT, "model": "gpt-5", "stream": True}
    decision = booked(product, "openai", "chat/completions", body, flow)
    assert decision["cost_nanousd"] == of_five("flex")


def test_a_responses_tier_is_the_one_at_its_end(product: Product) -> None:
    whole = response(units(100, 10), service_tier="priority")
    flow = named(
        event("response.created", response={"model": "gpt-5", "service_tier": "auto"}),
        event("response.completed", response=whole),
    )
    body = {**RESPONSES, "stream": True, "service_tier": "auto"}
    decision = booked(product, "openai", "responses", body, flow)
    assert decision["cost_nanousd"] == of_five("priority")


@pytest.mark.parametrize("stream", [False, True])
def test_azures_tier_is_in_a_header(product: Product, *, stream: bool) -> None:
    header = {"azureai-processed-tier": "priority"}
    usage = tokens(100, 10)
    last = piece("gpt-4o-mini", "Yes.", last=True, usage=usage)
    whole = said(chat("gpt-4o-mini", usage))
    flow = streamed(last, DONE, headers=header)
    answer = flow if stream else Answer(whole.body, headers=header)
    body = {**CHAT, "stream": stream}
    decision = booked(product, "azure", "openai/v1/chat/completions", body, answer)
    assert decision["cost_nanousd"] == 100 * 250 + 10 * 1000


def test_the_bodys_word_beats_the_headers(product: Product) -> None:
    whole = chat("gpt-4o-mini", tokens(100, 10), service_tier="default")
    answer = said(whole, azureai_processed_tier="priority")
    decision = booked(product, "azure", "openai/v1/chat/completions", CHAT, answer)
    assert decision["cost_nanousd"] == 100 * 150 + 10 * 600


@pytest.mark.parametrize("stream", [False, True])
def test_geminis_tier_is_in_a_header(product: Product, *, stream: bool) -> None:
    header = {"x-gemini-service-tier": "batch"}
    told = gemini(counts(100, 10))
    answer = streamed(told, headers=header) if stream else Answer(said(told).body, headers=header)
    path = STREAM if stream else GENERATE
    decision = booked(product, "google", path, GEMINI, answer)
    assert decision["cost_nanousd"] == 100 * 150 + 10 * 1250


@pytest.mark.parametrize(
    ("traffic", "nanousd"),
    [
        ("ON_DEMAND", 100 * 300 + 10 * 2500),
        (1, 100 * 300 + 10 * 2500),
        # What was provisioned is paid for by the hour.
        ("PROVISIONED_THROUGHPUT", 0),
        (2, 0),
    ],
)
def test_vertexs_traffic_type_is_its_tier(
    product: Product, traffic: str | int, nanousd: int
) -> None:
    usage: dict[str, Any] = {**counts(100, 10), "trafficType": traffic}
    decision = booked(product, "vertex", VERTEX, GEMINI, said(gemini(usage)))
    assert (decision["cost_nanousd"], decision["usage_confidence"]) == (nanousd, "reported")


def test_anthropics_batch_tier_is_half_the_price(product: Product) -> None:
    usage = {"input_tokens": 100, "output_tokens": 10, "service_tier": "batch"}
    decision = booked(product, "anthropic", "v1/messages", MESSAGES, message(usage))
    assert decision["cost_nanousd"] == 100 * 500 + 10 * 2500


@pytest.mark.parametrize("told", [{"service_tier": "priority"}, {"speed": "fast"}])
def test_a_tier_without_a_price_is_booked_at_the_worst_case(
    product: Product, told: dict[str, str]
) -> None:
    usage = {"input_tokens": 100, "output_tokens": 10, **told}
    decision = booked(product, "anthropic", "v1/messages", MESSAGES, message(usage))
    assert decision["reason"] == "unpriced_answer"
    assert decision["usage_confidence"] == "worst_case"
    assert decision["cost_nanousd"] == decision["reserved_nanousd"]
