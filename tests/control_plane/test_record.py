"""Corrections of what was booked, and lost money in an operator's hands."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.control_plane.books import Books
from tests.control_plane.running import Organization


def settled(org: Organization, budget: str) -> int:
    return int(org.get(f"/v1/budgets/{budget}/spend")["settled_nanousd"])


async def test_a_corrected_price_is_booked_beside_the_event(
    org: Organization, books: Books, budget: str
) -> None:
    decision = await books.spend(1_000, await books.open_account(budget))
    body = {
        "decision_id": str(decision),
        "cost_usd": "0.0000004",
        "reason": "dated price was wrong",
    }
    made = org.post("/v1/adjustments", body)
    assert (made["kind"], made["amount_nanousd"], made["amount_usd"]) == (
        "price", -600, "-0.0000006",
    )  # fmt: skip
    assert settled(org, budget) == 400
    found = org.get(f"/v1/decisions/{decision}")
    assert (found["cost_nanousd"], found["adjusted_nanousd"]) == (1_000, -600)
    assert [one["reason"] for one in found["adjustments"]] == ["dated price was wrong"]
    (item,) = org.get("/v1/ledger")["items"]
    entries = [(e["kind"], e["account"], e["amount_nanousd"]) for e in item["entries"]]
    assert entries[2:] == [
        ("adjustment", "expense:checkout", -600),
        ("adjustment", "payable:openai", 600),
    ]


async def test_correcting_to_the_same_cost_again_books_nothing(
    org: Organization, books: Books, budget: str
) -> None:
    decision = await books.spend(1_000, await books.open_account(budget))
    body = {"decision_id": str(decision), "cost_usd": "0.0000004", "reason": "dated price"}
    org.post("/v1/adjustments", body)
    assert "already stands" in org.post("/v1/adjustments", body, 409)["detail"]
    assert settled(org, budget) == 400


async def test_an_account_is_corrected_by_an_amount_once_by_its_id(
    org: Organization, books: Books, budget: str
) -> None:
    account = await books.open_account(budget)
    body = {
        "id": str(uuid4()), "account_id": account, "amount_usd": "0.5", "reason": "invoice 17",
        "cost_center": "marketing", "provider": "openai",
    }  # fmt: skip
    first = org.post("/v1/adjustments", body)
    assert org.post("/v1/adjustments", body) == first
    assert (first["kind"], first["expense"], first["payable"]) == (
        "manual", "expense:marketing", "payable:openai",
    )  # fmt: skip
    assert settled(org, budget) == 500_000_000
    org.post("/v1/adjustments", {**body, "id": str(uuid4()), "amount_usd": "-0.25"})
    assert settled(org, budget) == 250_000_000


async def test_adjustments_are_listed_newest_first(
    org: Organization, books: Books, budget: str
) -> None:
    account = await books.open_account(budget)
    for amount in ("0.1", "0.2", "0.3"):
        body = {"account_id": account, "amount_usd": amount, "reason": "invoice"}
        org.post("/v1/adjustments", body)
    first = org.get("/v1/adjustments?limit=2")
    rest = org.get(f"/v1/adjustments?limit=2&cursor={first['next_cursor']}")
    shown = [one["amount_usd"] for one in first["items"] + rest["items"]]
    assert shown == ["0.30", "0.20", "0.10"]


async def test_a_later_budget_starts_from_the_corrected_cost(
    org: Organization, books: Books, budget: str
) -> None:
    decision = await books.spend(1_000, await books.open_account(budget))
    body = {"decision_id": str(decision), "cost_usd": "0.0000004", "reason": "dated price"}
    org.post("/v1/adjustments", body)
    later = {"name": "later", "period": "none", "limit_usd": "1", "kind": "hard"}
    made = org.post("/v1/budgets", later)["id"]
    assert settled(org, made) == 400
    await books.open_account(made)
    assert settled(org, made) == 400


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "either 'decision_id' or 'account_id'"),
        ({"decision_id": str(UUID(int=7))}, 422, "either 'amount_usd'"),
        ({"account_id": "a@0", "cost_usd": 1}, 422, "belong to a decision"),
        ({"account_id": "a@0", "amount_usd": 0}, 422, "of nothing is none"),
        ({"account_id": "a@0", "amount_usd": 1}, 404, "no account 'a@0'"),
        ({"decision_id": str(UUID(int=7)), "amount_usd": 1}, 404, "no posted attempt"),
    ],
)
def test_what_cannot_be_booked_is_refused(
    org: Organization, body: dict[str, Any], status: int, said: str
) -> None:
    answer = org.post("/v1/adjustments", {"reason": "because", **body}, status)
    assert said in answer["detail"]


async def test_lost_money_is_shown_and_released_by_hand(
    org: Organization, books: Books, budget: str
) -> None:
    account = await books.open_account(budget)
    decision, reservation = await books.reserve(1_000, account)
    path, body = f"/v1/reservations/{reservation}/release", {"reason": "the provider never saw it"}
    assert "is not lost" in org.post(path, body, 409)["detail"]
    await books.lose()
    shown = org.get(f"/v1/budgets/{budget}/spend")
    assert (shown["held_nanousd"], shown["lost_nanousd"]) == (1_000, 1_000)
    assert "may still send the request" in org.post(path, body, 409)["detail"]
    await books.age_lost()
    assert org.post(path, body, 200)["state"] == "voided"
    shown = org.get(f"/v1/budgets/{budget}/spend")
    assert (shown["settled_nanousd"], shown["held_nanousd"], shown["lost_nanousd"]) == (0, 0, 0)
    assert org.get(f"/v1/decisions/{decision}")["reason"] == "released_by_hand"
    ended = org.get("/v1/lost-endings")["items"]
    assert [(one["reservation_id"], one["outcome"], one["cost_nanousd"]) for one in ended] == [
        (str(reservation), "voided", 0)
    ]
    assert ended[0]["reason"] == body["reason"]
    org.post(path, body, 404)


async def test_lost_money_is_posted_at_what_is_known(
    org: Organization, books: Books, budget: str
) -> None:
    _, reservation = await books.reserve(1_000, await books.open_account(budget))
    await books.lose()
    await books.age_lost()
    body = {"amount_usd": "0.0000003", "reason": "from the provider's log"}
    assert org.post(f"/v1/reservations/{reservation}/post", body, 200)["cost_nanousd"] == 300
    assert settled(org, budget) == 300


async def test_reconciliations_are_listed_newest_first(org: Organization, books: Books) -> None:
    await books.reconcile_at("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z")
    first = org.get("/v1/reconciliations?limit=1")
    rest = org.get(f"/v1/reconciliations?limit=1&cursor={first['next_cursor']}")
    days = [one["reconciled_at"][:10] for one in first["items"] + rest["items"]]
    assert days == ["2026-11-02", "2026-11-01"]
    assert first["items"][0]["findings"] == [{"kind": "account", "drift_nanousd": 5}]
    assert rest["next_cursor"] is None


def test_the_rule_for_lost_money_is_set(org: Organization) -> None:
    assert org.get("/v1/settings/lost") == {"rule": "worst_case", "after_s": None}
    wanted = {"rule": "release", "after_s": 60}
    assert org.ask("PUT", "/v1/settings/lost", wanted) == wanted
    assert org.get("/v1/settings/lost") == wanted
    org.ask("PUT", "/v1/settings/lost", {"rule": "forget"}, 422)


async def test_the_month_of_a_booking_has_its_partition_after_migrating(books: Books) -> None:
    sql = "SELECT to_regclass($1) IS NOT NULL"
    month = f"spendra.spend_events_{datetime.now(UTC):%Y_%m}"
    assert await books.connection.fetchval(sql, month)
