"""What OpenRouter says it charged is what is booked, also where a caller left before it said so."""

import threading
from typing import Any

import httpx
import pytest

from tests.system.scripted.product import CHAT, Product
from tests.system.scripted.upstream import Answer, said, streamed

ASK = {**CHAT, "model": "openai/gpt-4o-mini"}
USAGE = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
LISTED = 100 * 150 + 50 * 600
NEVER = said({"error": {"message": "Generation not found", "code": 404}}, 404)


def chat(usage: dict[str, Any]) -> Answer:
    message = {"role": "assistant", "content": "Yes."}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    answer = {"id": "gen-1", "object": "chat.completion", "model": ASK["model"]}
    return said({**answer, "choices": choices, "usage": usage})


@pytest.mark.parametrize(
    ("stated", "nanousd"),
    [
        ({"cost": 0.0000451}, 45_100),
        ({"cost": 0.00000123, "is_byok": False}, 1_230),
        # What stands behind the cost is no cost of its own where the key is OpenRouter's.
        ({"cost": 0.00002, "cost_details": {"upstream_inference_cost": 0.00001}}, 20_000),
    ],
)
def test_the_stated_cost_is_booked_whatever_the_list_says(
    product: Product, stated: dict[str, Any], nanousd: int
) -> None:
    name = product.route("openrouter", chat(USAGE | stated))
    decision = product.booked(f"/v1/{name}/chat/completions", ASK)
    assert decision["cost_nanousd"] == nanousd != LISTED
    assert decision["usage_confidence"] == "reported"
    assert decision["usage"]["input_tokens"] == 100


@pytest.mark.parametrize(
    ("fee", "details", "nanousd"),
    [
        (0, {"upstream_inference_cost": 0.0000421}, 42_100),
        (0.0000021, {"upstream_inference_cost": 0.0000421}, 44_200),
        (
            0,
            {
                "upstream_inference_cost": None,
                "upstream_inference_prompt_cost": 0.00001,
                "upstream_inference_completions_cost": 0.00003,
            },
            40_000,
        ),
    ],
)
def test_with_a_key_of_ones_own_the_provider_behind_it_is_paid(
    product: Product, fee: float, details: dict[str, Any], nanousd: int
) -> None:
    usage = {**USAGE, "cost": fee, "is_byok": True, "cost_details": details}
    name = product.route("openrouter", chat(usage))
    assert product.booked(f"/v1/{name}/chat/completions", ASK)["cost_nanousd"] == nanousd


# --- the record of a request whose caller left -------------------------------------------------

PIECE = {
    "id": "gen-1",
    "model": ASK["model"],
    "choices": [{"index": 0, "delta": {"content": "Yes, it is."}, "finish_reason": None}],
}


def record(**more: Any) -> Answer:
    data = {"id": "gen-1", "native_tokens_prompt": 90, "native_tokens_completion": 40}
    return said({"data": data | more})


def leave(product: Product, name: str) -> str:
    """Hang up after the first piece. The decision's id."""
    url = f"{product.system.up['sidecar_url']}/v1/{name}/chat/completions"
    headers = {"x-spendra-key": product.project().key}
    with (
        httpx.Client(timeout=30) as client,
        client.stream("POST", url, json={**ASK, "stream": True}, headers=headers) as answer,
    ):
        assert b"Yes" in next(answer.iter_raw())
        return str(answer.headers["x-spendra-decision-id"])


def held_open(product: Product, *records: Answer, **more: Any) -> str:
    """A stream that does not end by itself, then answers to who asks for its record."""
    pieces = streamed(PIECE, PIECE, headers={"x-generation-id": "gen-1"}, **more)
    return product.route("openrouter", pieces, *records)


def cut(product: Product, *records: Answer) -> dict[str, Any]:
    """The decision on a stream that breaks off without usage."""
    name = held_open(product, *records, cut=True)
    answer = product.post(f"/v1/{name}/chat/completions", {**ASK, "stream": True})
    return product.ended(answer)


@pytest.mark.parametrize(
    ("found", "nanousd"),
    [
        ({"total_cost": 0.0000123, "is_byok": False, "upstream_inference_cost": 1}, 12_300),
        ({"total_cost": 0, "is_byok": True, "upstream_inference_cost": 0.00000456}, 4_560),
    ],
)
def test_a_stream_that_broke_off_is_booked_by_openrouters_own_record(
    product: Product, found: dict[str, Any], nanousd: int
) -> None:
    decision = cut(product, NEVER, record(**found))
    assert (decision["cost_nanousd"], decision["usage_confidence"]) == (nanousd, "reported")
    usage = decision["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (90, 40)


def test_a_caller_who_left_is_booked_by_openrouters_own_record(product: Product) -> None:
    end = threading.Event()
    name = held_open(product, NEVER, record(total_cost=0.0000123), then=end)
    decision_id = leave(product, name)
    decision = product.system.ended(decision_id)
    end.set()
    assert (decision["cost_nanousd"], decision["usage_confidence"]) == (12_300, "reported")
    asked = [each.path for each in product.upstream.asked(name)]
    assert asked[1:] == ["/api/v1/generation?id=gen-1"] * 2


def test_where_no_record_appears_what_was_delivered_is_counted(product: Product) -> None:
    decision = cut(product, NEVER)
    assert decision["usage_confidence"] == "counted"
    assert decision["usage"]["output_tokens"] == 9
    assert decision["cost_nanousd"] > 9 * 600


def test_a_stream_that_outgrew_its_budget_is_booked_by_openrouters_own_record(
    product: Product,
) -> None:
    rules = {"unlimited_output": "watch", "default_output_tokens": 50}
    at = product.project("0.00006", rules)
    long = {**PIECE, "choices": [{"index": 0, "delta": {"content": "It is wet. " * 20}}]}
    pieces = streamed(*[long] * 20, headers={"x-generation-id": "gen-1"})
    name = product.route("openrouter", pieces, record(total_cost=0.0000123))
    asked = {name: value for name, value in ASK.items() if name != "max_tokens"}
    answer = product.post(f"/v1/{name}/chat/completions", {**asked, "stream": True}, at)
    assert b"budget_exhausted" in answer.content
    decision = product.ended(answer)
    assert (decision["cost_nanousd"], decision["usage_confidence"]) == (12_300, "reported")
