"""Policies that have cheaper models serve in place of those that were asked for."""

from typing import Any

import pytest

from tests.system.scripted.bodies import GEMINI, chat, tokens
from tests.system.scripted.product import CHAT, Product
from tests.system.scripted.upstream import Answer, said

LARGE, SMALL = "gpt-4o", "gpt-4o-mini"
ASKED = {**CHAT, "model": LARGE}
SMALL_INPUT_NANOUSD, SMALL_OUTPUT_NANOUSD = 150, 600
LARGE_INPUT_NANOUSD, LARGE_OUTPUT_NANOUSD = 2_500, 10_000


def rules(mode: str, *instead: str, models: str = "gpt-4o*", **more: Any) -> dict[str, Any]:
    return {"routing": {"mode": mode, "routes": [{"models": [models], "instead": instead}]}, **more}


def answered(model: str) -> Answer:
    return said(chat(model, tokens(10, 5)))


def models_asked(product: Product, route: str) -> list[str]:
    return [asked.json()["model"] for asked in product.upstream.asked(route)]


@pytest.mark.parametrize("mode", ["prefer_cheap", "enforce"])
def test_the_cheaper_model_serves_and_is_what_is_booked(product: Product, mode: str) -> None:
    route = product.route("openai", answered(SMALL))
    at = product.project(rules=rules(mode, "gpt-4-turbo", SMALL))
    answer = product.post(f"/v1/{route}/chat/completions", ASKED, at)
    assert answer.status_code == 200, answer.text
    assert models_asked(product, route) == [SMALL]
    shown = {name: answer.headers[f"x-spendra-{name}"] for name in ("requested-model", "model")}
    assert shown == {"requested-model": LARGE, "model": SMALL}
    decision = product.ended(answer)
    assert (decision["requested_model"], decision["model"]) == (LARGE, SMALL)
    assert decision["cost_nanousd"] == 10 * SMALL_INPUT_NANOUSD + 5 * SMALL_OUTPUT_NANOUSD
    assert decision["scope"]["label:spendra.routed_from"] == [LARGE]


def test_a_caller_may_decline_where_it_is_a_preference(product: Product) -> None:
    for mode, expected in (("prefer_cheap", LARGE), ("enforce", SMALL)):
        route = product.route("openai", answered(expected))
        at = product.project(rules=rules(mode, SMALL))
        headers = {"x-spendra-route": "skip"}
        answer = product.post(f"/v1/{route}/chat/completions", ASKED, at, **headers)
        assert answer.status_code == 200, answer.text
        assert models_asked(product, route) == [expected]


def test_what_was_asked_for_serves_where_the_cheaper_one_fails(product: Product) -> None:
    route = product.route("openai", said({}, status=500), answered(LARGE))
    at = product.project(rules=rules("prefer_cheap", SMALL))
    answer = product.post(f"/v1/{route}/chat/completions", ASKED, at)
    assert answer.status_code == 200, answer.text
    assert models_asked(product, route) == [SMALL, LARGE]
    decision = product.ended(answer)
    assert (decision["requested_model"], decision["model"]) == (LARGE, LARGE)
    costs = [attempt["cost_nanousd"] for attempt in decision["attempts"]]
    assert costs[-1] == 10 * LARGE_INPUT_NANOUSD + 5 * LARGE_OUTPUT_NANOUSD
    route = product.route("openai", said({}, status=500), answered(LARGE))
    at = product.project(rules=rules("enforce", SMALL))
    assert product.post(f"/v1/{route}/chat/completions", ASKED, at).status_code == 500
    assert models_asked(product, route) == [SMALL]


def test_where_it_is_observed_the_ledger_tells_what_was_cheaper(product: Product) -> None:
    route = product.route("openai", answered(LARGE))
    at = product.project(rules=rules("observe", SMALL))
    answer = product.post(f"/v1/{route}/chat/completions", ASKED, at)
    assert models_asked(product, route) == [LARGE]
    decision = product.ended(answer)
    assert (decision["requested_model"], decision["model"]) == (LARGE, LARGE)
    assert decision["scope"]["label:spendra.cheaper"] == [SMALL]


@pytest.mark.parametrize(
    ("asked", "said_by_policy"),
    [
        (LARGE, rules("enforce", "gpt-4")),
        (LARGE, rules("enforce", "no-such-model")),
        (LARGE, rules("enforce", SMALL, models_deny=["*-mini"])),
        (LARGE, rules("enforce", SMALL, models="o3*")),
        (SMALL, rules("enforce", SMALL, LARGE)),
    ],
    ids=["dearer", "unpriced", "denied", "not named", "cheapest already"],
)
def test_otherwise_it_goes_as_it_came(
    product: Product, asked: str, said_by_policy: dict[str, Any]
) -> None:
    route = product.route("openai", answered(asked))
    at = product.project(rules=said_by_policy)
    answer = product.post(f"/v1/{route}/chat/completions", {**ASKED, "model": asked}, at)
    assert answer.status_code == 200, answer.text
    assert models_asked(product, route) == [asked]
    scope = product.ended(answer)["scope"]
    assert not [name for name in scope if name.startswith("label:spendra.")]


def test_a_model_in_the_path_is_replaced_there(product: Product) -> None:
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
    content = {"role": "model", "parts": [{"text": "Yes."}]}
    candidates = [{"content": content, "finishReason": "STOP"}]
    small = "gemini-2.5-flash-lite"
    body = {"candidates": candidates, "usageMetadata": usage, "modelVersion": small}
    route = product.route("google", said(body))
    at = product.project(rules=rules("enforce", small, models="gemini-*"))
    path = f"/v1/{route}/v1beta/models/gemini-2.5-flash:generateContent"
    answer = product.post(path, GEMINI, at)
    assert answer.status_code == 200, answer.text
    assert product.one_asked(route).path.startswith(f"/v1beta/models/{small}:generateContent")
    decision = product.ended(answer)
    assert (decision["requested_model"], decision["model"]) == ("gemini-2.5-flash", small)


def test_the_strictest_of_several_policies_counts(product: Product) -> None:
    route = product.route("openai", answered(SMALL))
    at = product.project(rules=rules("enforce", SMALL))
    policy = {"name": "o", "scope": {"project": at.name}, "rules": rules("observe", "gpt-4.1-nano")}
    product.system.ask("POST", "/v1/policies", policy)
    headers = {"x-spendra-route": "skip"}
    product.post(f"/v1/{route}/chat/completions", ASKED, at, **headers).raise_for_status()
    assert models_asked(product, route) == ["gpt-4.1-nano"]
