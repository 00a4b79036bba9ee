"""All recorded answers through a running sidecar: usage, cost, bytes and errors as they were."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from spendra.command.simulator.replay import Corpus
from tests.system.conftest import CORPUS, System
from tests.system.corpus.cases import CASES, NAMED_ROUTES, Case, asked, body_of, deployments
from tests.system.corpus.prices import charged_calls, has_price, listed_nanousd, stated_nanousd

RECORDED = Corpus(CORPUS) if CASES else None
NO_FILE = "the input file, which says what a batch may cost, was not recorded"
NOT_BOUNDED = "what it may cost at worst is not known, so it is refused by default"
NO_SEARCH_PRICE = "the price list has no price of a search by this model"
REFUSED: dict[str, tuple[str, str]] = {
    "deepseek-responses-032abb51": ("unpriced_model", NO_SEARCH_PRICE),
    "gemini-generate-content-8f58b87e": ("UNPRICED_MODEL", NO_SEARCH_PRICE),
    "gemini-generate-content-c0b655a7": ("UNPRICED_MODEL", NO_SEARCH_PRICE),
    "openai-responses-185048c5": ("unpriced_model", NO_SEARCH_PRICE),
    "openai-responses-81b77efd": ("unpriced_model", NO_SEARCH_PRICE),
    "openai-responses-a49f1d7e": ("unpriced_model", NO_SEARCH_PRICE),
    "xai-responses-6ce53c14": ("unpriced_model", NO_SEARCH_PRICE),
    "xai-responses-ec08134a": ("unpriced_model", NO_SEARCH_PRICE),
    "mistral-chat-5ee4711d": ("input_unbounded", NOT_BOUNDED),
    "gemini-cached-contents-2bced605": ("ROUTE_UNKNOWN", "its storage is billed by the hour"),
    "gemini-cached-contents-c0b9dc45": ("ROUTE_UNKNOWN", "its storage is billed by the hour"),
    "openai-batches-0e8f6a9f": ("batch_unreadable", NO_FILE),
    "openai-batches-17695914": ("batch_unreadable", NO_FILE),
    "openai-responses-065b57ab": ("model_missing", "a hosted prompt names the model"),
    "openai-images-331ff383": ("form_invalid", "edits are taken as forms"),
}
"""Cases that the sidecar refuses, and should: id to the refusal's code, and why."""
LED_HERE = {"anthropic-batches-cccab938"}
"""Cases whose answer says where results are: here, and not at the provider."""
UNLISTED_TIER = {
    "vertex-generate-content-2394202f": "the price list has no flex tier of this model",
    "vertex-generate-content-b953e34d": "the price list has no flex tier of this model",
}
"""Cases that are booked at their worst case, because the answer says what has no price."""
COUNTS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)


@pytest.fixture(scope="module")
def http(system: System) -> Iterator[httpx.Client]:
    """A caller with a key, in an organization whose budget is no hindrance."""
    budget = f"/v1/budgets/{system.up['budget_id']}"
    system.ask("PATCH", budget, {"limit_usd": "1000000"})
    for name in NAMED_ROUTES:
        route = {"base_url": f"{system.provider_url}/{name}", "credential": "sk"}
        system.put_route(name, route)
    azure = {"base_url": f"{system.provider_url}/azure", "credential": "sk"}
    system.put_route("azure", azure | {"model_names": deployments()})
    headers = {"authorization": f"Bearer {system.up['api_key']}"}
    with httpx.Client(base_url=system.up["sidecar_url"], headers=headers, timeout=60) as client:
        yield client
    system.ask("PATCH", budget, {"limit_usd": "100"})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_recorded_answer_is_metered_and_passed_on(
    system: System, http: httpx.Client, case: Case
) -> None:
    request = asked(case)
    headers = request.headers | {"x-simulate": f"replay={case['id']}"}
    answer = http.request(request.method, request.path, content=request.body, headers=headers)
    if case["id"] in REFUSED:
        assert f'"{REFUSED[case["id"]][0]}"' in answer.text, answer.text[:600]
        return
    if answer.status_code == 403 and not has_price(case):
        assert "has no price" in answer.text, "what has no price is refused before it leaves"
        if (case["provider"], case["api"]) == ("openai", "chat"):
            assert case["status"] >= 400, "a model that answered must have a price"
        return
    assert answer.status_code == case["status"], answer.text[:600]
    if case["id"] in LED_HERE:
        theirs = json.loads(body_of(case))
        assert theirs | {"results_url": f"{answer.url}/results"} == answer.json()
        return
    assert answer.content == body_of(case)
    is_reported = case["usage_present"] and "not-a-new-generation" not in case["tags"]
    if not is_reported and case["api"] != "chat":
        return
    decision = system.ended(answer.headers["x-spendra-decision-id"])
    if case["id"] in UNLISTED_TIER:
        assert decision["reason"] == "unpriced_answer"
    elif is_reported:
        check_usage(case, decision)
        check_cost(case, decision)


def check_usage(case: Case, decision: dict[str, Any]) -> None:
    assert decision["usage_confidence"] == "reported", decision
    booked = {name: decision["usage"][name] for name in COUNTS}
    assert booked == {name: case["usage"].get(name) or 0 for name in COUNTS}


def check_cost(case: Case, decision: dict[str, Any]) -> None:
    stated, listed = stated_nanousd(case), listed_nanousd(case)
    expected = listed if stated is None else stated
    if expected is not None and stated is None and charged_calls(case):
        assert decision["cost_nanousd"] >= expected
    elif expected is not None:
        assert decision["cost_nanousd"] == pytest.approx(expected, abs=1)


# --- cut in the middle --------------------------------------------------------------------


def pieces_of(case: Case) -> list[bytes]:
    """The events of a recorded stream."""
    answer = RECORDED.answer(case["id"]) if RECORDED else None
    return answer.pieces if answer else []


def one_stream_of_each_kind() -> list[Case]:
    """As the wire had it, and long enough to be cut."""
    found: dict[tuple[str, str], Case] = {}
    for case in CASES:
        whole = (
            case["streaming"]
            and case["method"] == "POST"
            and case["fidelity"] == "raw"
            and case["status"] == 200
        )
        if whole and case["id"] not in REFUSED and len(pieces_of(case)) >= 6:
            found.setdefault((case["provider"], case["api"]), case)
    return list(found.values())


@pytest.mark.parametrize("case", one_stream_of_each_kind(), ids=lambda case: case["id"])
def test_a_recorded_stream_that_is_cut_is_charged_and_ends_in_an_error(
    system: System, http: httpx.Client, case: Case
) -> None:
    pieces = pieces_of(case)
    half = len(pieces) // 2
    request = asked(case)
    headers = request.headers | {"x-simulate": f"replay={case['id']},cut-after={half}"}
    answer = http.request(request.method, request.path, content=request.body, headers=headers)
    sent = b"".join(pieces[:half])
    assert answer.content.startswith(sent)
    assert b"error" in answer.content[len(sent) :].lower()
    decision = system.ended(answer.headers["x-spendra-decision-id"])
    assert decision["state"] == "posted"
    assert 0 < decision["cost_nanousd"] <= decision["reserved_nanousd"]
