"""Asking for a larger budget: who may, who decides, and that it is decided once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.control_plane.books import Books
from tests.control_plane.running import Organization
from tests.control_plane.test_roles import client, token_of

SignIn = Callable[..., httpx.Client]
WHY = "the launch is next week"


@pytest.fixture
def sign_in(org: Organization) -> Iterator[SignIn]:
    with ExitStack() as opened:
        yield lambda *member: opened.enter_context(client(org, token_of(org, *member)))


@pytest.fixture
def web(org: Organization) -> str:
    """A budget of a person."""
    scope = {"person": "ada"}
    body = {"name": "ada's", "scope": scope, "period": "day", "limit_usd": "25", "kind": "hard"}
    return str(org.post("/v1/budgets", body)["id"])


def wish(who: httpx.Client, budget: str, usd: str = "40", **more: Any) -> httpx.Response:
    body = {"budget_id": budget, "limit_usd": usd, "reason": WHY, **more}
    return who.post("/v1/budget-requests", json=body)


def decide(who: httpx.Client, request: str, word: str, **body: Any) -> httpx.Response:
    return who.post(f"/v1/budget-requests/{request}/{word}", json=body)


def test_an_employee_asks_and_finance_approves(
    org: Organization, sign_in: SignIn, web: str
) -> None:
    ada, fin = sign_in("ada", ["employee"]), sign_in("fin", ["finance"])
    asked = wish(ada, web).json()
    assert (asked["state"], asked["asked_by"], asked["limit_now_usd"]) == (
        "waiting", "person ada", "25.00",
    )  # fmt: skip
    assert org.get("/v1/notices?event=budget.requested")["items"][0]["facts"]["reason"] == WHY
    assert decide(ada, asked["id"], "approve").status_code == 403
    approved = decide(fin, asked["id"], "approve", note="until then").json()
    assert (approved["state"], approved["decided_by"], approved["note"]) == (
        "approved", "person fin", "until then",
    )  # fmt: skip
    assert org.get(f"/v1/budgets/{web}")["limit_usd"] == "40.00"
    assert org.snapshot().policy.budgets[0].limit_nanousd == 40 * 10**9
    assert decide(fin, asked["id"], "deny").status_code == 409


def test_a_denial_changes_nothing(org: Organization, sign_in: SignIn, web: str) -> None:
    asked = wish(sign_in("ada", ["employee"]), web).json()
    denied = decide(sign_in("fin", ["finance"]), asked["id"], "deny", note="no").json()
    assert (denied["state"], denied["note"]) == ("denied", "no")
    assert org.get(f"/v1/budgets/{web}")["limit_usd"] == "25.00"


def test_nobody_decides_what_they_asked_for(sign_in: SignIn, web: str) -> None:
    fin = sign_in("fin", ["finance"])
    asked = wish(fin, web).json()
    refused = decide(fin, asked["id"], "approve")
    assert (refused.status_code, "asked for it yourself" in refused.text) == (403, True)
    assert decide(fin, asked["id"], "withdraw").json()["state"] == "withdrawn"
    other = sign_in("fay", ["finance"])
    again = wish(fin, web).json()
    assert decide(other, again["id"], "withdraw").status_code == 403
    assert decide(other, again["id"], "approve").json()["state"] == "approved"


def test_what_is_anothers_is_neither_seen_nor_asked_for(
    org: Organization, sign_in: SignIn, web: str
) -> None:
    asked = wish(sign_in("ada", ["employee"]), web).json()
    bob = sign_in("bob", ["employee"])
    assert wish(bob, web).status_code == 404
    assert bob.get(f"/v1/budget-requests/{asked['id']}").status_code == 404
    assert bob.get("/v1/budget-requests").json()["items"] == []
    assert wish(sign_in("aud", ["auditor"]), web).status_code == 403
    assert len(org.get("/v1/budget-requests?state=waiting")["items"]) == 1


async def test_one_that_nobody_decided_expires_and_makes_room(
    books: Books, sign_in: SignIn, web: str
) -> None:
    ada = sign_in("ada", ["employee"])
    asked = wish(ada, web).json()
    assert wish(ada, web).status_code == 409
    await books.connection.execute(
        "UPDATE spendra.budget_requests SET expires_at = now() WHERE id = $1", asked["id"]
    )
    path = f"/v1/budget-requests/{asked['id']}"
    assert ada.get(path).json()["state"] == "expired"
    assert decide(sign_in("fin", ["finance"]), asked["id"], "approve").status_code == 409
    assert wish(ada, web).status_code == 201
    assert (ada.get(path).json()["state"], ada.get(path).json()["note"]) == ("withdrawn", "expired")


def test_of_many_decisions_at_once_one_counts(org: Organization, sign_in: SignIn, web: str) -> None:
    asked = wish(sign_in("ada", ["employee"]), web).json()
    words = ["approve", "deny"] * 4
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda word: decide(org.api, asked["id"], word), words))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    state = org.get(f"/v1/budget-requests/{asked['id']}")["state"]
    limit = org.get(f"/v1/budgets/{web}")["limit_usd"]
    assert limit == {"approved": "40.00", "denied": "25.00"}[state]


@pytest.mark.parametrize(("usd", "status"), [("25", 409), ("24", 409), ("0", 422)])
def test_less_than_there_is_is_no_wish(org: Organization, web: str, usd: str, status: int) -> None:
    assert wish(org.api, web, usd).status_code == status


def test_a_limit_that_grew_meanwhile_is_not_lowered(org: Organization, web: str) -> None:
    asked = wish(org.api, web).json()
    org.ask("PATCH", f"/v1/budgets/{web}", {"limit_usd": "100"})
    assert decide(org.api, asked["id"], "approve").status_code == 409
    assert org.get(f"/v1/budgets/{web}")["limit_usd"] == "100.00"
