"""Refusals in each provider's own shape: what its SDK reads, with what is Spendra's own."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.system.conftest import eventually
from tests.system.scripted.bodies import GEMINI, GENERATE, MESSAGES, STREAM, chat, tokens
from tests.system.scripted.product import CHAT, SAY, UPSTREAM_KEY, Product
from tests.system.scripted.upstream import Answer, said

MISTRAL = {**CHAT, "model": "mistral-small-latest"}
COHERE = {"model": "command-r", "messages": SAY, "max_tokens": 100}
COHERE_V1 = {"model": "command-r", "message": "Is water wet?", "max_tokens": 100}
PLAIN_STREAM = STREAM.removesuffix("?alt=sse")
ASKED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "anthropic": ("anthropic", "v1/messages", MESSAGES),
    "google": ("google", GENERATE, GEMINI),
    "google-array": ("google", PLAIN_STREAM, GEMINI),
    "mistral": ("mistral", "v1/chat/completions", MISTRAL),
    "cohere": ("cohere", "v2/chat", COHERE),
    "cohere-v1": ("cohere", "v1/chat", COHERE_V1),
    "openai": ("openai", "chat/completions", CHAT),
}
CODES = {
    402: "budget_exhausted",
    403: "model_not_allowed",
    429: "rate_limited",
    503: "ledger_unavailable",
}
ANTHROPIC = {
    402: "billing_error",
    403: "permission_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}
GOOGLE = {
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
KINDS = {
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_exceeded",
    503: "enforcement_unavailable",
}


def read(protocol: str, body: Any, status: int) -> tuple[str, str]:
    """The message, and the id of the decision; asserts all else that the protocol's SDK reads."""
    if protocol == "anthropic":
        assert body["type"] == "error"
        assert body["error"]["type"] == ANTHROPIC[status]
        assert body["error"]["spendra"]["decision_id"] == body["request_id"]
        return body["error"]["message"], body["request_id"]
    if protocol.startswith("google"):
        (error,) = [each["error"] for each in (body if protocol == "google-array" else [body])]
        assert (error["code"], error["status"]) == (status, GOOGLE[status])
        (info,) = error["details"]
        assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
        assert (info["reason"], info["domain"]) == (CODES[status].upper(), "spendra")
        assert all(isinstance(value, str) for value in info["metadata"].values())
        return error["message"], info["metadata"]["decision_id"]
    if protocol == "mistral":
        assert (body["object"], body["param"]) == ("error", None)
        told = (body["type"], body["code"], body["raw_status_code"])
        assert told == (KINDS[status], CODES[status], status)
        return body["message"], body["spendra"]["decision_id"]
    if protocol.startswith("cohere"):
        assert body["spendra"]["decision_id"] == body["id"]
        return body["message"], body["id"]
    error = body["error"]
    assert (error["type"], error["code"], error["param"]) == (KINDS[status], CODES[status], None)
    return error["message"], error["spendra"]["decision_id"]


@pytest.mark.parametrize("status", [402, 403, 429])
@pytest.mark.parametrize("protocol", ASKED)
def test_a_refusal_is_read_by_the_providers_own_sdk(
    product: Product, protocol: str, status: int
) -> None:
    kind, path, body = ASKED[protocol]
    rules = {403: {"models_allow": ["none"]}, 429: {"requests_per_minute": 1}}.get(status)
    at = product.project("0" if status == 402 else "50", rules)
    name = product.route(kind, said({"error": "not to be asked"}, 400))
    answer = product.post(f"/v1/{name}/{path}", body, at)
    if status == 429:
        answer = product.post(f"/v1/{name}/{path}", body, at)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    text, decision_id = read(protocol, answer.json(), status)
    assert decision_id == answer.headers["x-spendra-decision-id"]
    assert len(text) > 40, "says what to do"
    assert len(product.upstream.asked(name)) == (1 if status == 429 else 0)
    assert answer.headers.get("x-should-retry") == (None if status == 429 else "false")
    assert ("retry-after" in answer.headers) == (status == 429)


# --- the provider's own ---------------------------------------------------------------------------

OWN: dict[str, dict[str, Any]] = {
    "anthropic": {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": "slow down"},
        "request_id": "req_1",
    },
    "google": {
        "error": {
            "code": 429,
            "message": "slow down",
            "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}],
        }
    },
    "mistral": {
        "object": "error",
        "message": "slow down",
        "type": "rate_limited",
        "param": None,
        "code": "1300",
        "raw_status_code": 429,
    },
    "cohere": {"id": "1", "message": "slow down"},
    "openai": {
        "error": {"message": "slow down", "type": "tokens", "param": None, "code": "rate_limit"}
    },
}


@pytest.mark.parametrize("status", [402, 403, 429, 503])
@pytest.mark.parametrize("protocol", OWN)
def test_the_providers_own_error_is_passed_on_as_it_is_and_costs_nothing(
    product: Product, protocol: str, status: int
) -> None:
    kind, path, body = ASKED[protocol]
    # Byte for byte: with the spaces that this provider likes.
    error = json.dumps(OWN[protocol], indent=3).encode()
    headers = {"retry-after": "7", "x-request-id": "req_1", "content-type": "application/json"}
    name = product.route(kind, Answer(error, status, headers))
    at = product.project()
    answer = product.post(f"/v1/{name}/{path}", body, at)
    assert (answer.status_code, answer.content) == (status, error)
    assert (answer.headers["retry-after"], answer.headers["x-request-id"]) == ("7", "req_1")
    decision = product.ended(answer)
    assert (decision["state"], decision["reason"]) == ("posted", "upstream_error")
    assert at.settled() == 0


def test_no_credential_crosses_over(product: Product) -> None:
    """What the caller shows stays here, in whichever header; what the provider gets stays there."""
    kept = {
        "authorization": "Bearer spd-of-the-caller",
        "x_api_key": "spd-of-the-caller",
        "api_key": "spd-of-the-caller",
        "x_goog_api_key": "spd-of-the-caller",
        "cookie": "session=spd-of-the-caller",
    }
    for protocol, error in OWN.items():
        kind, path, body = ASKED[protocol]
        name = product.route(kind, said(error, 429))
        answer = product.post(f"/v1/{name}/{path}", body, **kept)
        asked = product.one_asked(name)
        shown = f"{asked.path}{asked.headers}"
        assert "spd" not in shown
        assert UPSTREAM_KEY in shown
        assert UPSTREAM_KEY not in f"{answer.headers}{answer.text}"


def test_while_spending_cannot_be_enforced_each_protocol_is_told_so(product: Product) -> None:
    names = {
        protocol: product.route(kind, said({"error": "not to be asked"}, 400))
        for protocol, (kind, _, _) in ASKED.items()
    }
    working = product.route("openai", said(chat("gpt-4o-mini", tokens(10, 5))))
    asked = {p: (f"/v1/{names[p]}/{path}", body) for p, (_, path, body) in ASKED.items()}
    with standing_still(product, "valkey", working), ThreadPoolExecutor(len(asked)) as callers:
        answers = callers.map(lambda each: product.post(*each), asked.values())
        refused = dict(zip(asked, answers, strict=True))
    for protocol, answer in refused.items():
        assert answer.status_code == 503, answer.text
        text, decision_id = read(protocol, answer.json(), 503)
        assert "nothing was sent" in text
        assert decision_id == answer.headers["x-spendra-decision-id"]
        assert "x-should-retry" not in answer.headers
        assert answer.headers["retry-after"] == "1"
        assert product.upstream.asked(names[protocol]) == []


@contextlib.contextmanager
def standing_still(product: Product, process: str, working: str) -> Iterator[None]:
    """A store that does not answer; afterwards all is as before."""
    pid = product.system.up["pids"][process]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)

        def look() -> dict[str, Any]:
            answer = product.post(f"/v1/{working}/chat/completions", CHAT)
            return {"status": answer.status_code}

        eventually(look, lambda found: found["status"] == 200, within_s=30)
