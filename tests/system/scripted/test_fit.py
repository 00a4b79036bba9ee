"""Policies that have less output rather than none, where a budget has no room for more."""

import json

import pytest

from tests.system.scripted.bodies import chat, tokens
from tests.system.scripted.product import CHAT, Product
from tests.system.scripted.upstream import said

LIMIT_USD, LIMIT_NANOUSD = "0.0001", 100_000
OUTPUT_NANOUSD = 600
"""A token of gpt-4o-mini's output."""
ASKED = {**CHAT, "model": "gpt-4o-mini", "max_tokens": 1000}


def asked_for(product: Product, route: str) -> list[int]:
    """The output limits that the provider was sent."""
    bodies = [json.loads(asked.body) for asked in product.upstream.asked(route)]
    return [body["max_tokens"] for body in bodies]


def test_the_output_is_cut_to_what_the_budget_has_room_for(product: Product) -> None:
    route = product.route("openai", said(chat("gpt-4o-mini", tokens(10, 20))))
    at = product.project(LIMIT_USD, rules={"fit_output_to_budget": 50})
    answer = product.post(f"/v1/{route}/chat/completions", ASKED, at)
    assert answer.status_code == 200, answer.text
    (cap,) = asked_for(product, route)
    assert 50 <= cap < LIMIT_NANOUSD / OUTPUT_NANOUSD
    assert answer.headers["x-spendra-policy-warning"]
    decision = product.ended(answer)
    assert 0.9 * LIMIT_NANOUSD < decision["reserved_nanousd"] <= LIMIT_NANOUSD
    # What came back of it is room for the next.
    product.post(f"/v1/{route}/chat/completions", ASKED, at).raise_for_status()


@pytest.mark.parametrize("rules", [{"fit_output_to_budget": 400}, {"max_output_tokens": 1000}])
def test_too_little_is_as_good_as_nothing(product: Product, rules: dict[str, int]) -> None:
    route = product.route("openai", said(chat("gpt-4o-mini", tokens(10, 20))))
    answer = product.post(
        f"/v1/{route}/chat/completions", ASKED, product.project(LIMIT_USD, rules=rules)
    )
    assert answer.status_code == 402
    assert 50 < answer.json()["error"]["spendra"]["affordable_output_tokens"] < 400
    assert asked_for(product, route) == []


def test_where_there_is_room_nothing_changes(product: Product) -> None:
    route = product.route("openai", said(chat("gpt-4o-mini", tokens(10, 20))))
    at = product.project("1", rules={"fit_output_to_budget": 50})
    product.post(f"/v1/{route}/chat/completions", ASKED, at).raise_for_status()
    assert asked_for(product, route) == [1000]
