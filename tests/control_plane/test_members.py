"""Members and their tokens, and what managers and employees see."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.control_plane.books import Books
from tests.control_plane.running import ControlPlane, Organization, found_organization
from tests.control_plane.test_roles import client, token_of

SignIn = Callable[[str], httpx.Client]


@pytest.fixture
def sign_in(org: Organization) -> Iterator[SignIn]:
    """A client with a token, closed when the test ends."""
    with ExitStack() as opened:
        yield lambda token: opened.enter_context(client(org, token))


@pytest.fixture
def iam(org: Organization, sign_in: SignIn) -> httpx.Client:
    return sign_in(token_of(org, "ida", ["iam"]))


def _ids(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {one["id"] for one in answer.json()["items"]}


def test_a_token_is_shown_once_and_says_who_it_is(org: Organization, sign_in: SignIn) -> None:
    member = org.post("/v1/members", {"name": "ada", "roles": ["finance", "employee"]})
    made = org.post(f"/v1/members/{member['id']}/tokens", {"name": "laptop"})
    me = sign_in(made["token"]).get("/v1/me").json()
    assert (me["kind"], me["name"], me["roles"]) == ("person", "ada", ["finance", "employee"])
    assert "budgets:write" in me["capabilities"]
    assert "members:write" not in me["capabilities"]
    listed = org.get(f"/v1/members/{member['id']}/tokens")
    assert made["token"] not in repr(listed)
    assert [one["id"] for one in listed["items"]] == [made["id"]]
    assert listed["items"][0]["last_used_at"] is not None


def test_the_admin_token_is_an_owner(org: Organization) -> None:
    me = org.get("/v1/me")
    assert (me["kind"], me["roles"], me["member_id"]) == ("admin token", ["owner"], None)


def test_a_revoked_token_and_a_suspended_member_are_out_at_once(
    org: Organization, sign_in: SignIn
) -> None:
    member = org.post("/v1/members", {"name": "bot", "kind": "service", "roles": ["auditor"]})
    path = f"/v1/members/{member['id']}"
    made = [org.post(f"{path}/tokens", {"name": name}) for name in ("one", "two")]
    first, second = (sign_in(one["token"]) for one in made)
    assert org.post(f"/v1/tokens/{made[0]['id']}/revoke", status=200)["revoked_at"]
    assert [one.get("/v1/me").status_code for one in (first, second)] == [401, 200]
    org.ask("PATCH", path, {"state": "suspended"})
    assert second.get("/v1/me").status_code == 401
    assert org.post(f"{path}/tokens", {"name": "three"}, 409)["code"] == "conflict"
    org.ask("PATCH", path, {"state": "active"})
    assert [one.get("/v1/me").status_code for one in (first, second)] == [401, 200]


def test_a_token_past_its_expiry_is_unknown(org: Organization, sign_in: SignIn) -> None:
    member = org.post("/v1/members", {"name": "ada", "roles": ["auditor"]})
    ends = {
        "past": datetime.now(UTC) - timedelta(seconds=1),
        "later": datetime(2999, 1, 1, tzinfo=UTC),
    }
    status = {}
    for name, moment in ends.items():
        body = {"name": name, "expires_at": moment.isoformat()}
        made = org.post(f"/v1/members/{member['id']}/tokens", body)
        status[name] = sign_in(made["token"]).get("/v1/me").status_code
    assert status == {"past": 401, "later": 200}


def test_only_an_owner_makes_changes_or_acts_for_owners(
    org: Organization, iam: httpx.Client, sign_in: SignIn
) -> None:
    owner = org.post("/v1/members", {"name": "olga", "roles": ["owner"]})
    token = org.post(f"/v1/members/{owner['id']}/tokens", {"name": "t"})
    plain = org.post("/v1/members", {"name": "pat", "roles": ["auditor"]})
    tries: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/v1/members", {"name": "eve", "roles": ["owner"]}),
        ("PATCH", f"/v1/members/{plain['id']}", {"roles": ["owner"]}),
        ("PATCH", f"/v1/members/{owner['id']}", {"state": "suspended"}),
        ("POST", f"/v1/members/{owner['id']}/tokens", {"name": "t"}),
        ("POST", f"/v1/tokens/{token['id']}/revoke", {}),
    ]
    assert [iam.request(m, p, json=b).status_code for m, p, b in tries] == [403] * 5
    assert sign_in(token["token"]).get("/v1/me").status_code == 200
    assert iam.post("/v1/members", json={"name": "eve", "roles": ["iam"]}).status_code == 201


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": "a", "roles": []}, "roles"),
        ({"name": "a", "roles": ["boss"]}, "roles"),
        ({"name": "a", "roles": ["manager"]}, "name what a manager sees"),
        ({"name": "a", "roles": ["auditor"], "manages": {"team": ["x"]}}, "only for the role"),
        ({"name": "a", "roles": ["manager"], "manages": {"model": ["x"]}}, "'model' is not one of"),
        ({"name": "a", "kind": "service", "roles": ["employee"]}, "'employee' is for people"),
    ],
)
def test_a_member_that_does_not_fit_is_refused(
    org: Organization, body: dict[str, Any], message: str
) -> None:
    assert message in org.post("/v1/members", body, 422)["detail"]
    assert org.get("/v1/members")["items"] == []


def test_a_member_is_not_made_twice_and_has_editions(org: Organization) -> None:
    member = org.post("/v1/members", {"name": "ada", "roles": ["auditor"]})
    org.post("/v1/members", {"name": "ada", "roles": ["iam"]}, 409)
    path = f"/v1/members/{member['id']}"
    meant = {"if-match": org.api.get(path).headers["etag"]}
    edits = [org.api.patch(path, json={"roles": [r]}, headers=meant) for r in ("iam", "finance")]
    assert [one.status_code for one in edits] == [200, 412]
    assert org.get(path)["roles"] == ["iam"]


def test_no_token_opens_another_organization(
    control_plane: ControlPlane, org: Organization, sign_in: SignIn
) -> None:
    other = found_organization(control_plane)
    with other.api:
        key = other.post("/v1/keys", {"name": "theirs"})
    mine = sign_in(token_of(org, "olga", ["owner"]))
    assert mine.get(f"/v1/keys/{key['id']}").status_code == 404
    assert mine.post(f"/v1/keys/{key['id']}/revoke").status_code == 404
    assert _ids(mine.get("/v1/keys")) == set()


def _keys(org: Organization) -> dict[str, str]:
    org.post("/v1/teams", {"name": "payments"})
    org.post("/v1/teams", {"name": "cards", "parent": "payments"})
    org.post("/v1/projects", {"name": "checkout", "teams": ["cards"]})
    scopes = {
        "ada": {"person": "ada"},
        "bob": {"person": "bob"},
        "checkout": {"project": "checkout"},
        "search": {"project": "search"},
    }
    made = {n: org.post("/v1/keys", {"name": n, "scope": s}) for n, s in scopes.items()}
    return {name: key["id"] for name, key in made.items()}


def test_an_employee_sees_own_keys_and_a_manager_all_below(
    org: Organization, sign_in: SignIn
) -> None:
    keys = _keys(org)
    ada = sign_in(token_of(org, "ada", ["employee"]))
    may = sign_in(token_of(org, "may", ["manager"], {"team": ["payments"]}))
    both = sign_in(token_of(org, "bob", ["manager", "employee"], {"project": ["search"]}))
    assert _ids(ada.get("/v1/keys")) == {keys["ada"]}
    assert _ids(may.get("/v1/keys")) == {keys["checkout"]}
    assert _ids(both.get("/v1/keys")) == {keys["bob"], keys["search"]}
    statuses = [ada.get(f"/v1/keys/{keys[name]}").status_code for name in ("ada", "bob")]
    assert statuses == [200, 404]


def test_a_scoped_role_beside_a_wide_one_sees_everything(
    org: Organization, sign_in: SignIn
) -> None:
    keys = _keys(org)
    wide = sign_in(token_of(org, "ada", ["employee", "auditor"]))
    assert _ids(wide.get("/v1/keys")) == set(keys.values())


def test_budgets_are_seen_only_when_all_they_count_is_ones_own(
    org: Organization, sign_in: SignIn
) -> None:
    _keys(org)
    made = {}
    for name, scope in {
        "own": {"person": "ada"},
        "shared": {"person": ["ada", "bob"]},
        "all": {},
        "team": {"team": "cards"},
    }.items():
        body = {"name": name, "scope": scope, "period": "none", "limit_usd": "1", "kind": "hard"}
        made[name] = org.post("/v1/budgets", body)["id"]
    ada = sign_in(token_of(org, "ada", ["employee"]))
    may = sign_in(token_of(org, "may", ["manager"], {"team": ["payments"]}))
    assert _ids(ada.get("/v1/budgets")) == {made["own"]}
    assert _ids(may.get("/v1/budgets")) == {made["team"]}
    for tail in ("", "/spend"):
        statuses = [ada.get(f"/v1/budgets/{made[n]}{tail}").status_code for n in ("own", "shared")]
        assert statuses == [200, 404]


async def test_spend_of_others_is_not_there(
    org: Organization, books: Books, budget: str, sign_in: SignIn
) -> None:
    account = await books.open_account(budget)
    books.facts = {"person": ["ada"]}
    mine = await books.spend(1_000, account)
    books.facts = {"person": ["bob"], "project": ["checkout"]}
    theirs = await books.spend(1_000, account)
    ada = sign_in(token_of(org, "ada", ["employee"]))
    may = sign_in(token_of(org, "may", ["manager"], {"project": ["checkout"]}))
    seen = {
        name: {one["decision_id"] for one in caller.get("/v1/ledger").json()["items"]}
        for name, caller in (("ada", ada), ("may", may))
    }
    assert seen == {"ada": {str(mine)}, "may": {str(theirs)}}
    found = [ada.get(f"/v1/decisions/{one}").status_code for one in (mine, theirs)]
    assert found == [200, 404]


def test_an_idempotency_key_is_its_tokens_own(org: Organization, sign_in: SignIn) -> None:
    """Otherwise its answer would hand one caller's secret to another."""
    headers = {"idempotency-key": "same"}
    first = org.api.post("/v1/keys", json={"name": "k"}, headers=headers).json()
    olga = sign_in(token_of(org, "olga", ["owner"]))
    second = olga.post("/v1/keys", json={"name": "k"}, headers=headers).json()
    assert first["id"] != second["id"]


async def test_a_booking_names_who_made_it(
    org: Organization, books: Books, budget: str, sign_in: SignIn
) -> None:
    decision = await books.spend(1_000, await books.open_account(budget))
    fay = sign_in(token_of(org, "fay", ["finance"]))
    body = {"decision_id": str(decision), "amount_usd": "-0.0000001", "reason": "a credit"}
    assert fay.post("/v1/adjustments", json=body).json()["booked_by"] == "person fay"


def test_an_owner_puts_the_admin_token_away_and_the_bootstrap_token_brings_one_back(
    control_plane: ControlPlane, org: Organization, sign_in: SignIn
) -> None:
    path = "/v1/organization/admin-tokens/revoke"
    assert org.post(path, status=409)["code"] == "conflict"
    olga = sign_in(token_of(org, "olga", ["owner"]))
    assert [olga.post(path).json() for _ in "ab"] == [{"revoked": 1}, {"revoked": 0}]
    assert org.get("/v1/me", 401)["code"] == "not_authenticated"
    with control_plane.with_bootstrap() as bootstrap:
        made = bootstrap.post(f"/v1/organizations/{org.id}/admin-token")
        assert bootstrap.post("/v1/organizations/org_none/admin-token").status_code == 404
    assert made.status_code == 201
    assert sign_in(made.json()["admin_token"]).get("/v1/me").json()["roles"] == ["owner"]
    assert olga.post(f"/v1/organizations/{org.id}/admin-token").status_code == 401
