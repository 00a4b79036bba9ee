"""What is tried again elsewhere, what is left alone for a while, and what is never tried twice."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from tests.system.conftest import eventually
from tests.system.scripted.product import CHAT, Product
from tests.system.scripted.upstream import Answer, said, streamed

FAILURES = 5
"""After so many in a row a route is left alone."""


def chatted(text: str = "Yes.") -> Answer:
    message = {"role": "assistant", "content": text}
    return said(
        {
            "model": "gpt-4o-mini",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        }
    )


COST = 10 * 150 + 5 * 600


def failing(status: int, **headers: str) -> Answer:
    return said({"error": {"message": "no", "type": "t", "code": "c"}}, status, **headers)


def pair(product: Product, *answers: Answer) -> tuple[str, str]:
    """A route that answers so, and another that serves where it fails."""
    spare = product.route("openai", chatted("Spare."))
    first = product.route("openai", *answers, fallbacks=[{"route": spare}])
    return first, spare


def chat(product: Product, name: str, **more: Any) -> httpx.Response:
    return product.post(f"/v1/{name}/chat/completions", CHAT, **more)


def counts(product: Product, *names: str) -> tuple[int, ...]:
    return tuple(len(product.upstream.asked(name)) for name in names)


# --- which answers are tried again ---------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_a_status_that_may_pass_is_tried_at_the_fallback(product: Product, status: int) -> None:
    first, spare = pair(product, failing(status))
    at = product.project()
    answer = chat(product, first, at=at)
    assert (answer.status_code, answer.headers["x-spendra-routed"]) == (200, spare)
    attempts = product.ended(answer)["attempts"]
    assert [(a["state"], a["cost_nanousd"]) for a in attempts] == [("posted", 0), ("posted", COST)]
    assert at.settled() == COST


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_status_that_stays_is_passed_on(product: Product, status: int) -> None:
    first, spare = pair(product, failing(status, x_request_id="req-1"))
    answer = chat(product, first)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, "c")
    assert answer.headers["x-request-id"] == "req-1"
    assert counts(product, first, spare) == (1, 0)
    assert product.ended(answer)["cost_nanousd"] == 0


def test_without_a_fallback_the_error_and_its_retry_after_are_the_callers(product: Product) -> None:
    name = product.route("openai", failing(429, retry_after="7", retry_after_ms="6500"))
    for _ in range(FAILURES + 2):
        answer = chat(product, name)
        assert answer.status_code == 429
        assert (answer.headers["retry-after"], answer.headers["retry-after-ms"]) == ("7", "6500")
    assert counts(product, name) == (FAILURES + 2,), "the only route is always asked"


def test_nothing_is_tried_again_once_a_byte_was_passed_on(product: Product) -> None:
    piece = {
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "delta": {"content": "Yes, it is."}, "finish_reason": None}],
    }
    first, spare = pair(product, streamed(piece, cut=True))
    answer = product.post(f"/v1/{first}/chat/completions", {**CHAT, "stream": True})
    assert b"Yes, it is." in answer.content
    assert b"upstream_cut" in answer.content
    assert counts(product, first, spare) == (1, 0)
    assert product.ended(answer)["cost_nanousd"] >= 5 * 600


# --- Retry-After ---------------------------------------------------------------------------------


IN_AN_HOUR = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


@pytest.mark.parametrize(
    "headers", [{"retry_after": "60"}, {"retry_after_ms": "60000"}, {"retry_after": IN_AN_HOUR}]
)
def test_a_route_that_asks_for_it_is_left_alone(product: Product, headers: dict[str, str]) -> None:
    first, spare = pair(product, failing(429, **headers), chatted())
    for _ in range(3):
        assert chat(product, first).headers["x-spendra-routed"] == spare
    assert counts(product, first, spare) == (1, 3)


def test_a_route_is_asked_again_after_the_time_that_it_named(product: Product) -> None:
    first, _ = pair(product, failing(503, retry_after="1"), chatted("First."))
    assert "Spare." in chat(product, first).text
    eventually(lambda: chat(product, first).json(), lambda found: "First." in str(found))
    assert counts(product, first) == (2,)


@pytest.mark.parametrize("wish", ["Wed, 21 Oct 2015 07:28:00 GMT", "soon", "-5", ""])
def test_a_wish_of_the_past_or_without_meaning_is_no_wish(product: Product, wish: str) -> None:
    first, spare = pair(product, failing(503, retry_after=wish), chatted())
    assert chat(product, first).headers["x-spendra-routed"] == spare
    assert chat(product, first).headers["x-spendra-routed"] == first


# --- the breaker ---------------------------------------------------------------------------------


def test_a_route_that_keeps_failing_is_left_alone_and_comes_back_by_itself(
    product: Product,
) -> None:
    first, spare = pair(product, *[failing(500)] * FAILURES, chatted("First."))
    for _ in range(FAILURES):
        assert chat(product, first).headers["x-spendra-routed"] == spare
    assert counts(product, first, spare) == (FAILURES, FAILURES)
    eventually(lambda: chat(product, first).json(), lambda found: "First." in str(found))
    tried, elsewhere = counts(product, first, spare)
    assert tried == FAILURES + 1, "one request tried it"
    assert elsewhere > FAILURES, "others went elsewhere meanwhile"
    assert chat(product, first).headers["x-spendra-routed"] == first


def test_a_success_between_failures_closes_the_count(product: Product) -> None:
    few = [failing(500)] * (FAILURES - 1)
    first, spare = pair(product, *few, chatted(), *few, chatted())
    routed = [chat(product, first).headers["x-spendra-routed"] for _ in range(2 * FAILURES)]
    assert routed == 2 * [*[spare] * (FAILURES - 1), first]
