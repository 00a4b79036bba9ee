"""Prices of the customer's own, in a running sidecar: what is held, what is booked, the past."""

from typing import Any

import httpx
import pytest

from tests.system.conftest import eventually
from tests.system.scripted.bodies import chat, tokens
from tests.system.scripted.product import CHAT, Product
from tests.system.scripted.upstream import said
from tests.system.sdks.project import Project

LONG_AGO = "2026-01-01T00:00:00Z"
LATER = "2999-01-01T00:00:00Z"
NANO = {**CHAT, "model": "gpt-4.1-nano"}
RATES = {"input_mtok": "100", "output_mtok": "200"}


def asked(product: Product, route: str, model: str, at: Project) -> httpx.Response:
    return product.post(f"/v1/{route}/chat/completions", {**CHAT, "model": model}, at)


def priced(product: Product, provider: str, model: str, **more: Any) -> dict[str, Any]:
    body = {"name": "contract", "provider": provider, "model": model, **more}
    return product.system.ask("POST", "/v1/prices", body)


def test_a_model_that_the_catalog_lacks_can_be_used_at_a_price_of_ones_own(
    product: Product,
) -> None:
    route = product.route("openai-compatible", said(chat("house-model", tokens(1000, 50))))
    at = product.project()
    assert asked(product, route, "house-model", at).json()["error"]["code"] == "unpriced_model"
    price = priced(product, route, "house-*", rates=RATES)
    answer = eventually(
        lambda: {"answer": asked(product, route, "house-model", at)},
        lambda found: found["answer"].status_code == 200,
    )["answer"]
    decision = product.ended(answer)
    assert decision["cost_nanousd"] == 1000 * 100_000 + 50 * 200_000
    assert decision["reserved_nanousd"] >= 100 * 200_000
    assert decision["price_version"].endswith(f":customer_price:{price['id']}")


def test_a_search_that_the_catalog_has_no_price_for_can_be_used_at_ones_own(
    product: Product,
) -> None:
    billed = {"results": [], "meta": {"billed_units": {"search_units": 1}}}
    route = product.route("cohere", said({"id": "r", **billed}))
    body = {"model": "rerank-own", "query": "water", "documents": ["wet", "dry"]}
    at, path = product.project(), f"/v1/{route}/v2/rerank"
    assert product.post(path, body, at).status_code == 403
    priced(product, "cohere", "rerank-own", rates={"rerank_searches_kcount": "2"})
    answer = eventually(
        lambda: {"answer": product.post(path, body, at)},
        lambda found: found["answer"].status_code == 200,
    )["answer"]
    assert product.ended(answer)["cost_nanousd"] == 2_000_000


def test_what_was_booked_can_be_priced_again_as_often_as_prices_change(product: Product) -> None:
    route = product.route("openai", said(chat("gpt-4.1-nano", tokens(1000, 100))))
    at = product.project()
    answer = product.post(f"/v1/{route}/chat/completions", NANO, at)
    booked = 1000 * 100 + 100 * 400
    assert product.ended(answer)["cost_nanousd"] == booked
    half = priced(product, "openai", "gpt-4.1-nano", multiplier="0.5", starts_at=LONG_AGO)
    seen = again(product)
    assert (seen["changed"], seen["change_nanousd"], seen["booked"]) == (1, -booked // 2, False)
    assert at.settled() == booked
    assert again(product, dry_run=False)["items"][0]["cost_nanousd"] == booked // 2
    assert at.settled() == booked // 2
    repeated = again(product, dry_run=False)
    assert (repeated["changed"], repeated["unchanged"]) == (0, 1)
    product.system.ask("POST", f"/v1/prices/{half['id']}/end", {"at": LONG_AGO})
    assert again(product, dry_run=False)["change_nanousd"] == booked // 2
    assert at.settled() == booked
    priced(product, "openai", "gpt-4.1-nano", multiplier="0.5", starts_at=LONG_AGO, ends_at=LATER)
    assert again(product, dry_run=False)["change_nanousd"] == -booked // 2
    assert at.settled() == booked // 2


def again(product: Product, *, dry_run: bool = True) -> dict[str, Any]:
    body = {"from": LONG_AGO, "to": LATER, "model": "gpt-4.1-nano", "dry_run": dry_run}
    answer = product.system.ask("POST", "/v1/prices/rerate", body | {"reason": "a new contract"})
    assert (answer["looked_at"], answer["next_cursor"]) == (1, None)
    return answer


@pytest.mark.parametrize(
    ("usage", "why"),
    [
        (tokens(10, 5, cost=0.5), "stated_by_the_provider"),
        (None, "counts_do_not_explain_the_cost"),
    ],
)
def test_what_cannot_be_explained_is_left_and_said_why(
    product: Product, usage: dict[str, Any] | None, why: str
) -> None:
    body = chat("openai/gpt-4.1-mini", usage)
    route = product.route("openrouter", said({**body, "service_tier": "flex"}))
    at = product.project()
    model = "openai/gpt-4.1-mini"
    product.ended(asked(product, route, model, at))
    before = at.settled()
    product.system.ask(
        "POST",
        "/v1/prices",
        {"name": "x", "provider": "openrouter", "model": model, "multiplier": "0.1"}
        | {"starts_at": LONG_AGO},
    )
    wanted = {"from": LONG_AGO, "to": LATER, "provider": "openrouter", "model": model}
    found = product.system.ask(
        "POST", "/v1/prices/rerate", {**wanted, "reason": "a rebate", "dry_run": False}
    )
    assert found["left"].get(why, 0) >= 1
    assert at.settled() == before
