"""What operators read from the ledger, written here by the ledger's own functions."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.control_plane.books import FACTS, Books
from tests.control_plane.running import Organization


async def test_spend_is_what_was_settled_and_what_is_held(
    org: Organization, books: Books, budget: str
) -> None:
    account = await books.open_account(budget)
    await books.spend(100_000_000, account)
    await books.reserve(250_000_000, account)
    found = org.get(f"/v1/budgets/{budget}/spend")
    assert {name: value for name, value in found.items() if "usd" in name} == {
        "limit_nanousd": 1_000_000_000,
        "limit_usd": "1.00",
        "settled_nanousd": 100_000_000,
        "settled_usd": "0.10",
        "held_nanousd": 250_000_000,
        "held_usd": "0.25",
        "lost_nanousd": 0,
        "lost_usd": "0.00",
        "remaining_nanousd": 650_000_000,
        "remaining_usd": "0.65",
    }
    assert found["window"] == {"start": "1970-01-01T00:00:00Z", "end": None}


async def test_a_new_budget_shows_what_the_ledger_already_holds(
    org: Organization, books: Books, budget: str
) -> None:
    await books.spend(100_000_000, await books.open_account(budget))
    for project, settled in (("checkout", 100_000_000), ("other", 0)):
        body = {"name": project, "scope": {"project": project}, "period": "year"}
        made = org.post("/v1/budgets", {**body, "limit_usd": 1, "kind": "hard"})
        found = org.get(f"/v1/budgets/{made['id']}/spend")
        assert (found["settled_nanousd"], found["held_nanousd"]) == (settled, 0)


def test_the_window_is_the_budgets_own(org: Organization) -> None:
    dates = {"starts_at": "2020-01-01T00:00:00Z", "ends_at": "2020-02-01T00:00:00Z"}
    body = {"name": "b", "limit_usd": 1, "kind": "hard"}
    past = org.post("/v1/budgets", {**body, "period": "fixed", **dates})
    window = org.get(f"/v1/budgets/{past['id']}/spend")["window"]
    assert window == {"start": dates["starts_at"], "end": dates["ends_at"]}
    daily = org.post("/v1/budgets", {**body, "period": "day", "timezone": "Asia/Tokyo"})
    window = org.get(f"/v1/budgets/{daily['id']}/spend")["window"]
    assert window["start"].endswith("T15:00:00Z")


async def test_a_decision_tells_its_whole_trail(
    org: Organization, books: Books, budget: str
) -> None:
    account = await books.open_account(budget)
    decision, first = await books.reserve(1_000, account)
    await books.settle(first, "voided", 0)
    _, second = await books.reserve(2_000, account, decision, 2)
    waiting = org.get(f"/v1/decisions/{decision}")
    assert (waiting["state"], waiting["reserved_nanousd"]) == ("reserved", 3_000)
    await books.settle(second, "posted", 2_500)
    found = org.get(f"/v1/decisions/{decision}")
    assert (found["state"], found["reason"], found["provider"]) == ("posted", "finished", "openai")
    assert (found["requested_model"], found["model"]) == ("gpt-5-mini", "gpt-5-mini-2026")
    assert (found["estimated_nanousd"], found["cost_nanousd"]) == (500, 2_500)
    assert (found["overrun_nanousd"], found["cost_usd"]) == (500, "0.0000025")
    assert found["usage"] == {
        "input_tokens": 200,
        "cached_input_tokens": 40,
        "cache_write_tokens": 10,
        "output_tokens": 100,
        "reasoning_tokens": 20,
    }
    assert (found["usage_confidence"], found["policy_version"]) == ("reported", 7)
    assert found["budgets"] == [{"id": budget, "name": "all", "account_id": account}]
    assert [(one["attempt"], one["state"]) for one in found["attempts"]] == [
        (1, "voided"),
        (2, "posted"),
    ]


async def test_a_refusal_has_a_trail_too(org: Organization, books: Books, budget: str) -> None:
    account = await books.open_account(budget)
    found = org.get(f"/v1/decisions/{await books.refuse(account)}")
    assert (found["state"], found["reason"]) == ("refused", "budget_exhausted")
    assert (found["message"], found["wanted_nanousd"]) == ("Not enough left.", 20)
    assert (found["reserved_nanousd"], found["cost_nanousd"], found["attempts"]) == (0, 0, [])
    assert found["budgets"][0]["id"] == budget


@pytest.mark.parametrize("decision", ["nothing", "00000000-0000-7000-8000-000000000000"])
def test_an_unknown_decision_is_not_found(org: Organization, decision: str) -> None:
    org.get(f"/v1/decisions/{decision}", 404)


async def test_the_ledger_shows_each_ended_reservation_with_its_entries(
    org: Organization, books: Books, budget: str
) -> None:
    account = await books.open_account(budget)
    decision = await books.spend(1_000, account)
    await books.reserve(5_000, account)
    items = org.get("/v1/ledger")["items"]
    assert [one["decision_id"] for one in items] == [str(decision)]
    assert (items[0]["cost_nanousd"], items[0]["cost_usd"]) == (1_000, "0.000001")
    assert items[0]["scope"] == FACTS
    assert items[0]["budgets"][0]["id"] == budget
    entries = {one["account"]: one["amount_nanousd"] for one in items[0]["entries"]}
    assert entries == {"expense:checkout": 1_000, "payable:openai": -1_000}


async def test_the_ledger_is_asked_by_time_scope_and_decision(
    org: Organization, books: Books, budget: str
) -> None:
    decision = await books.spend(1_000, await books.open_account(budget))
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    answers = {
        "from=2020-01-01": 1,
        f"from={soon}": 0,
        "to=2020-01-01T00:00:00Z": 0,
        f"to={soon}": 1,
        "scope=project=checkout": 1,
        "scope=project=other": 0,
        "scope=project=checkout,model=gpt-5-*": 1,
        'scope={"project": "checkout", "model": ["x"]}': 0,
        f"decision_id={decision}": 1,
        f"decision_id={uuid4()}": 0,
    }
    found = {query: len(org.get(f"/v1/ledger?{query}")["items"]) for query in answers}
    assert found == answers


@pytest.mark.parametrize(
    "query", ["from=yesterday", "scope=proj=x", "scope=project", "scope={", "cursor=WyJ4IiwieSJd"]
)
def test_a_question_that_cannot_be_read_is_refused(org: Organization, query: str) -> None:
    org.get(f"/v1/ledger?{query}", 422)


async def test_pages_of_the_ledger_follow_one_another(
    org: Organization, books: Books, budget: str
) -> None:
    account = await books.open_account(budget)
    spent = [str(await books.spend(number, account)) for number in range(1, 6)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = org.get(f"/v1/ledger?limit=2&cursor={cursor}")
        seen += [one["decision_id"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert seen == spent[::-1]
