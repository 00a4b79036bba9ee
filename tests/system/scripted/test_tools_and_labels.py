"""Policies about tools, vendors and labels, on both sides of their bounds, as callers see them."""

from typing import Any

import pytest

from tests.system.scripted.bodies import chat, tokens
from tests.system.scripted.product import CHAT, Product
from tests.system.scripted.upstream import said

OWN = {"type": "function", "function": {"name": "delete_all", "parameters": {}}}
HARMLESS = {"type": "function", "function": {"name": "look_up", "parameters": {}}}


@pytest.mark.parametrize(
    ("rules", "tools", "code"),
    [
        ({"tools_deny": ["delete_*"]}, [HARMLESS, OWN], "tool_not_allowed"),
        ({"tools_deny": ["delete_*"]}, [HARMLESS], None),
        ({"tools_deny": ["delete_*"]}, None, None),
        ({"tools_allow": ["look_*"]}, [HARMLESS, OWN], "tool_not_allowed"),
        ({"tools_allow": ["look_*"]}, [HARMLESS], None),
    ],
)
def test_tools_are_held_against_their_lists(
    product: Product, rules: dict[str, Any], tools: list[dict[str, Any]] | None, code: str | None
) -> None:
    route = product.route("openai", said(chat("gpt-4o-mini", tokens(10, 5))))
    body = {**CHAT, **({"tools": tools} if tools else {})}
    answer = product.post(f"/v1/{route}/chat/completions", body, product.project(rules=rules))
    assert refusal(answer) == code, answer.text
    assert len(product.upstream.asked(route)) == (code is None)


@pytest.mark.parametrize(
    ("kind", "model", "rules", "code"),
    [
        (
            "openrouter",
            "deepseek/deepseek-v3.2",
            {"vendors_allow": ["openai"]},
            "vendor_not_allowed",
        ),
        ("openrouter", "openai/gpt-4o-mini", {"vendors_allow": ["openai"]}, None),
        ("openai", "gpt-4o-mini", {"vendors_deny": ["open*"]}, "vendor_not_allowed"),
        ("openrouter", "deepseek/deepseek-v3.2", {"vendors_deny": ["open*"]}, None),
    ],
)
def test_vendors_are_held_against_their_lists(
    product: Product, kind: str, model: str, rules: dict[str, Any], code: str | None
) -> None:
    route = product.route(kind, said(chat(model, tokens(10, 5))))
    body, at = {**CHAT, "model": model}, product.project(rules=rules)
    answer = product.post(f"/v1/{route}/chat/completions", body, at)
    assert refusal(answer) == code, answer.text
    assert len(product.upstream.asked(route)) == (code is None)


@pytest.mark.parametrize(
    ("headers", "metadata", "code"),
    [
        ({}, None, "label_missing"),
        ({"x-spendra-labels": "team=web"}, None, "label_missing"),
        ({"x-spendra-labels": "feature=search"}, None, None),
        ({}, {"feature": "search"}, None),
    ],
)
def test_a_label_that_is_required_must_be_there(
    product: Product, headers: dict[str, str], metadata: dict[str, str] | None, code: str | None
) -> None:
    route = product.route("openai", said(chat("gpt-4o-mini", tokens(10, 5))))
    at = product.project(rules={"required_labels": ["feature"]})
    body = {**CHAT, **({"metadata": metadata} if metadata else {})}
    answer = product.post(f"/v1/{route}/chat/completions", body, at, **headers)
    assert refusal(answer) == code, answer.text


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        ("feature=search", None),
        ("feature=content-12", None),
        ("team=web", None),
        ("feature=Search", "label_not_allowed"),
        ("feature=content-12,size=huge", "label_not_allowed"),
    ],
)
def test_a_label_has_one_of_its_values(product: Product, labels: str, code: str | None) -> None:
    route = product.route("openai", said(chat("gpt-4o-mini", tokens(10, 5))))
    values = {"feature": ["search", "content-*"], "size": ["small"]}
    at = product.project(rules={"labels_allow": values})
    headers = {"x-spendra-labels": labels}
    answer = product.post(f"/v1/{route}/chat/completions", CHAT, at, **headers)
    assert refusal(answer) == code, answer.text


def test_a_header_that_is_not_known_is_warned_of(product: Product) -> None:
    route = product.route("openai", said(chat("gpt-4o-mini", tokens(10, 5))))
    at = product.project()
    known = {"x-spendra-cache": "skip", "x-spendra-run-id": "r-1", "x-spendra-trailer": "cost"}
    answer = product.post(f"/v1/{route}/chat/completions", CHAT, at, **known)
    assert "not known" not in answer.headers.get("x-spendra-policy-warning", "")
    headers = {"x-spendra-label": "feature=search"}
    answer = product.post(f"/v1/{route}/chat/completions", CHAT, at, **headers)
    assert answer.status_code == 200, answer.text
    said_of_it = "x-spendra-label is not known and was ignored; did you mean x-spendra-labels?"
    assert said_of_it in answer.headers["x-spendra-policy-warning"]


def refusal(answer: Any) -> str | None:
    return None if answer.status_code == 200 else answer.json()["error"]["code"]
