"""Reviews, hours and environments, each on both sides of its bound, through a running sidecar."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from spendra.hours import DAYS
from tests.system.scripted.bodies import chat, tokens
from tests.system.scripted.product import CHAT, Product
from tests.system.scripted.test_tools_and_labels import refusal
from tests.system.scripted.upstream import said
from tests.system.sdks.project import Project

BLOCK = {"review_above_usd": "0.00001"}


@pytest.fixture
def route(product: Product) -> str:
    return product.route("openai", said(chat("gpt-4o-mini", tokens(10, 5))))


def ask(product: Product, route: str, at: Project, most: int = 100) -> httpx.Response:
    return product.post(f"/v1/{route}/chat/completions", {**CHAT, "max_tokens": most}, at)


def waiting(product: Product, answer: httpx.Response) -> dict[str, Any]:
    """The review that a refusal names."""
    assert refusal(answer) == "review_required", answer.text
    review = answer.json()["error"]["spendra"]["review"]
    found = product.system.ask("GET", f"/v1/reviews/{review['id']}")
    assert found["state"] == review["state"]
    return found


def decide(product: Product, review: dict[str, Any], how: str, **body: Any) -> None:
    product.system.ask("POST", f"/v1/reviews/{review['id']}/{how}", body)


def test_what_is_below_the_amount_is_not_asked_about(product: Product, route: str) -> None:
    at = product.project(rules={"review_above_usd": "1"})
    assert refusal(ask(product, route, at)) is None


def test_what_is_approved_goes_once(product: Product, route: str) -> None:
    at = product.project(rules=BLOCK)
    review = waiting(product, ask(product, route, at))
    assert (review["model"], review["asks"], review["state"]) == ("gpt-4o-mini", 1, "waiting")
    again = waiting(product, ask(product, route, at))
    assert (again["id"], again["asks"]) == (review["id"], 2)
    assert product.upstream.asked(route) == []
    decide(product, review, "approve", note="once")
    assert refusal(ask(product, route, at)) is None
    assert product.system.ask("GET", f"/v1/reviews/{review['id']}")["state"] == "used"
    assert waiting(product, ask(product, route, at))["id"] != review["id"]
    assert len(product.upstream.asked(route)) == 1


def test_of_many_at_once_an_approval_lets_one_through(product: Product, route: str) -> None:
    at = product.project(rules=BLOCK)
    decide(product, waiting(product, ask(product, route, at)), "approve")
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: ask(product, route, at), range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] + [403] * 15


def test_an_approval_is_good_for_what_was_asked_and_no_more(product: Product, route: str) -> None:
    at = product.project(rules=BLOCK)
    review = waiting(product, ask(product, route, at))
    decide(product, review, "approve")
    larger = waiting(product, ask(product, route, at, most=4000))
    assert larger["id"] != review["id"]
    assert refusal(ask(product, route, at, most=99)) is None


def test_an_approval_that_meets_an_empty_budget_is_given_back(product: Product, route: str) -> None:
    at = product.project(rules=BLOCK, limit_usd="0.00002")
    review = waiting(product, ask(product, route, at))
    decide(product, review, "approve")
    assert ask(product, route, at).status_code == 402
    assert product.system.ask("GET", f"/v1/reviews/{review['id']}")["state"] == "approved"


def test_a_denial_refuses_without_asking_again(product: Product, route: str) -> None:
    at = product.project(rules=BLOCK)
    review = waiting(product, ask(product, route, at))
    decide(product, review, "deny", note="use the small model")
    refused = ask(product, route, at)
    assert waiting(product, refused)["id"] == review["id"]
    assert "use the small model" in refused.json()["error"]["message"]


def test_what_is_flagged_passes_and_says_so(product: Product, route: str) -> None:
    at = product.project(rules={**BLOCK, "review": "flag"})
    answer = ask(product, route, at)
    assert refusal(answer) is None
    assert "it is for review" in answer.headers["x-spendra-policy-warning"]


@pytest.mark.parametrize(("allowed", "code"), [("live", None), ("dev*", "environment_not_allowed")])
def test_an_environment_must_be_allowed(
    product: Product, route: str, allowed: str, code: str | None
) -> None:
    at = product.project(rules={"environments_allow": [allowed]})
    assert refusal(ask(product, route, at)) == code


@pytest.mark.parametrize(("today", "code"), [(True, None), (False, "outside_hours")])
def test_hours_hold(product: Product, route: str, code: str | None, *, today: bool) -> None:
    # Yesterday, today and tomorrow together: midnight may pass meanwhile.
    now = datetime.now(UTC).weekday()
    near = {DAYS[(now + offset) % 7] for offset in (-1, 0, 1)}
    days = [day for day in DAYS if (day in near) == today]
    at = product.project(rules={"hours": {"open": [{"days": days}]}})
    assert refusal(ask(product, route, at)) == code
