"""A request without an output limit whose policy takes the model's own; and bodies in memory."""

import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.system.conftest import eventually
from tests.system.scripted.bodies import chat, message, tokens
from tests.system.scripted.conftest import MEGABYTE
from tests.system.scripted.product import CHAT, SAY, Product
from tests.system.scripted.upstream import Answer, said

COMPLETIONS = "chat/completions"
UNLIMITED = {"model": "gpt-4o-mini", "messages": SAY}
CHATTED = said(chat("gpt-4o-mini", tokens(10, 5)))
MINI_MOST, MINI_OUT = 16_384, 1000
"""gpt-4o-mini's largest output, and the dearest tier's nano-USD for a token of it."""
HAIKU_MOST, HAIKU_OUT = 64_000, 5000


# --- the model's own limit -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "path", "body", "answer", "least", "field"),
    [
        ("openai", COMPLETIONS, UNLIMITED, CHATTED, MINI_MOST * MINI_OUT, "max_completion_tokens"),
        (
            "anthropic",
            "v1/messages",
            {"model": "claude-haiku-4-5", "messages": SAY},
            message({"input_tokens": 10, "output_tokens": 5}),
            HAIKU_MOST * HAIKU_OUT,
            "max_tokens",
        ),
    ],
    ids=["openai", "anthropic"],
)
def test_the_models_own_limit_is_held_and_written(
    product: Product,
    kind: str,
    path: str,
    body: dict[str, Any],
    answer: Answer,
    least: int,
    field: str,
) -> None:
    rules = {"unlimited_output": "model", "default_output_tokens": 50}
    name = product.route(kind, answer)
    came = product.post(f"/v1/{name}/{path}", body, product.project(rules=rules))
    assert came.status_code == 200, came.text
    asked = product.one_asked(name).json()
    assert asked == {**body, field: least // (MINI_OUT if kind == "openai" else HAIKU_OUT)}
    input_at_most = len(product.one_asked(name).body) * 2000
    assert least <= product.ended(came)["reserved_nanousd"] <= least + input_at_most


@pytest.mark.parametrize(
    ("rules", "cap"),
    [
        ({"unlimited_output": "model", "max_output_tokens": 700}, 700),
        ({"unlimited_output": "cap", "default_output_tokens": 50}, 50),
        ({"default_output_tokens": 50}, 50),
    ],
)
def test_other_rules_lower_it(product: Product, rules: dict[str, Any], cap: int) -> None:
    name = product.route("openai", CHATTED)
    product.post(f"/v1/{name}/{COMPLETIONS}", UNLIMITED, product.project(rules=rules))
    assert product.one_asked(name).json()["max_completion_tokens"] == cap


def test_a_caller_with_a_limit_keeps_it(product: Product) -> None:
    name = product.route("openai", CHATTED)
    at = product.project(rules={"unlimited_output": "model"})
    product.post(f"/v1/{name}/{COMPLETIONS}", CHAT, at)
    assert product.one_asked(name).json() == CHAT


# --- memory for bodies ---------------------------------------------------------------------------

LARGE = 900_000
"""Of these, two fit into the two megabytes that this product has for all of them."""


def large(letter: str = "w") -> dict[str, Any]:
    return {**CHAT, "messages": [{"role": "user", "content": letter * LARGE}]}


def held_back(product: Product) -> tuple[str, threading.Event]:
    """A provider that answers nobody until the event."""
    gate = threading.Event()
    return product.route("openai", Answer(CHATTED.body, first=gate)), gate


def reached(product: Product, name: str, number: int) -> None:
    eventually(
        lambda: {"asked": len(product.upstream.asked(name))},
        lambda found: found["asked"] >= number,
        within_s=30,
    )


def test_large_bodies_wait_for_memory_and_small_ones_do_not(product: Product) -> None:
    name, gate = held_back(product)
    quick = product.route("openai", CHATTED)
    at = product.project(limit_usd="1000")
    with ThreadPoolExecutor(6) as callers:
        asked: list[Future[httpx.Response]] = [
            callers.submit(product.post, f"/v1/{name}/{COMPLETIONS}", large(), at) for _ in range(6)
        ]
        reached(product, name, 2)
        for _ in range(5):
            assert product.post(f"/v1/{quick}/{COMPLETIONS}", CHAT).status_code == 200
        assert len(product.upstream.asked(name)) == 2, "the others wait"
        gate.set()
        answers = [each.result() for each in asked]
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len(product.upstream.asked(name)) == 6


def test_a_caller_who_leaves_the_queue_does_not_hold_it_up(product: Product) -> None:
    name, gate = held_back(product)
    at = product.project(limit_usd="1000")
    with ThreadPoolExecutor(4) as callers:
        path = f"/v1/{name}/{COMPLETIONS}"
        first = [callers.submit(product.post, path, large(), at) for _ in range(2)]
        reached(product, name, 2)
        url = f"{product.system.up['sidecar_url']}{path}"
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, json=large(), headers={"x-spendra-key": at.key}, timeout=0.5)
        last = callers.submit(product.post, path, large(), at)
        gate.set()
        assert [each.result().status_code for each in (*first, last)] == [200] * 3


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_the_limit_is_refused_and_nothing_leaves(
    product: Product, *, chunked: bool
) -> None:
    name = product.route("openai", CHATTED)
    body = b'{"model": "gpt-4o-mini", "messages": "' + b"w" * MEGABYTE + b'"}'
    pieces = (body[start : start + 65_536] for start in range(0, len(body), 65_536))
    url = f"{product.system.up['sidecar_url']}/v1/{name}/{COMPLETIONS}"
    headers = {"x-spendra-key": product.system.up["api_key"]}
    answer = httpx.post(url, content=pieces if chunked else body, headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    assert str(MEGABYTE) in answer.json()["error"]["message"]
    assert product.upstream.asked(name) == []


def test_a_length_that_is_only_claimed_holds_no_memory_for_long(product: Product) -> None:
    """Callers who announce large bodies and leave: what was lent to them comes back."""
    name = product.route("openai", CHATTED)
    address = urlsplit(product.system.up["sidecar_url"])
    head = (
        f"POST /v1/{name}/{COMPLETIONS} HTTP/1.1\r\nhost: x\r\n"
        f"x-spendra-key: {product.system.up['api_key']}\r\ncontent-length: {LARGE}\r\n\r\n"
    )
    for _ in range(5):
        with socket.create_connection((address.hostname, address.port)) as caller:
            caller.sendall(head.encode() + b"{")
    at = product.project(limit_usd="1000")
    answer = product.post(f"/v1/{name}/{COMPLETIONS}", large(), at)
    assert answer.status_code == 200
    product.one_asked(name)
