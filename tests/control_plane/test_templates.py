"""Budgets that each person of a tier gets."""

from typing import Any

import pytest

from tests.control_plane.running import Organization

MONTHLY = {"name": "monthly", "period": "month", "limit_usd": "200", "kind": "hard"}
LARGE = {
    "name": "large models",
    "scope": {"model": "gpt-5*"},
    "period": "day",
    "limit_usd": "10",
    "kind": "soft",
}


def put(org: Organization, tier: str, *budgets: dict[str, Any]) -> dict[str, Any]:
    return org.ask("PUT", f"/v1/budget-templates/{tier}", {"budgets": list(budgets)})


def shown(org: Organization) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name to limit and scope, of what is in force."""
    known = org.get("/v1/budgets?limit=1000")["items"]
    assert {one.id for one in org.snapshot().policy.budgets} == {one["id"] for one in known}
    return {one["name"]: (one["limit_usd"], one["scope"]) for one in known}


@pytest.fixture
def staff(org: Organization) -> Organization:
    """Ada and bob are engineers, cleo is a manager."""
    for tier in ("engineer", "manager"):
        org.post("/v1/tiers", {"name": tier})
    for person, tier in (("ada", "engineer"), ("bob", "engineer"), ("cleo", "manager")):
        org.post("/v1/people", {"name": person, "tier": tier})
    return org


def test_each_person_of_the_tier_has_their_own(staff: Organization) -> None:
    made = put(staff, "engineer", MONTHLY, LARGE)
    assert (made["tier"], made["people"], len(made["budgets"])) == ("engineer", 2, 2)
    ada = {"person": ["ada"]}
    assert shown(staff) == {
        "monthly: ada": ("200.00", ada),
        "large models: ada": ("10.00", {"model": ["gpt-5*"], **ada}),
        "monthly: bob": ("200.00", {"person": ["bob"]}),
        "large models: bob": ("10.00", {"model": ["gpt-5*"], "person": ["bob"]}),
    }
    items = staff.get("/v1/budgets")["items"]
    assert {one["template"] for one in items} == {"engineer"}
    assert staff.get("/v1/budget-templates")["items"] == [made]


def test_who_comes_gets_it_and_who_goes_loses_it(staff: Organization) -> None:
    put(staff, "engineer", MONTHLY)
    put(staff, "manager", {**MONTHLY, "limit_usd": "500"})
    staff.post("/v1/people", {"name": "dan", "tier": "engineer"})
    staff.ask("PATCH", "/v1/people/ada", {"tier": "manager"})
    staff.ask("PATCH", "/v1/people/bob", {"tier": None})
    assert {name: limit for name, (limit, _) in shown(staff).items()} == {
        "monthly: ada": "500.00",
        "monthly: cleo": "500.00",
        "monthly: dan": "200.00",
    }
    staff.ask("PATCH", "/v1/people/ada", {"teams": []})
    staff.ask("PATCH", "/v1/people/ada", {"tier": "manager"})
    assert len(shown(staff)) == 3
    closed = staff.get("/v1/budgets?state=closed")["items"]
    assert sorted(one["name"] for one in closed) == ["monthly: ada", "monthly: bob"]


def test_what_changes_in_the_template_changes_in_each(staff: Organization) -> None:
    put(staff, "engineer", MONTHLY, LARGE)
    known = {one["name"]: one["id"] for one in staff.get("/v1/budgets")["items"]}
    for name, limit in (("monthly: ada", "300"), ("large models: ada", "20")):
        staff.ask("PATCH", f"/v1/budgets/{known[name]}", {"limit_usd": limit})
    put(staff, "engineer", {**MONTHLY, "limit_usd": "250"}, LARGE)
    assert {name: limit for name, (limit, _) in shown(staff).items()} == {
        "monthly: ada": "250.00",
        "monthly: bob": "250.00",
        "large models: ada": "20.00",
        "large models: bob": "10.00",
    }
    again = {one["name"]: one["id"] for one in staff.get("/v1/budgets")["items"]}
    assert again == known
    # What no budget can become is another budget.
    put(staff, "engineer", {**MONTHLY, "period": "week"})
    items = staff.get("/v1/budgets")["items"]
    assert {(one["name"], one["period"]) for one in items} == {
        ("monthly: ada", "week"),
        ("monthly: bob", "week"),
    }
    assert not {one["id"] for one in items} & set(known.values())


def test_without_the_template_they_close(staff: Organization) -> None:
    put(staff, "engineer", MONTHLY)
    staff.api.delete("/v1/budget-templates/engineer").raise_for_status()
    assert shown(staff) == {}
    staff.post("/v1/people", {"name": "dan", "tier": "engineer"})
    assert shown(staff) == {}
    staff.get("/v1/budget-templates/engineer", 404)
    staff.ask("DELETE", "/v1/budget-templates/engineer", None, 404)


def test_one_that_was_closed_by_hand_comes_again_with_the_next_change(staff: Organization) -> None:
    put(staff, "engineer", MONTHLY)
    ada = next(b for b in staff.get("/v1/budgets")["items"] if b["name"] == "monthly: ada")
    staff.ask("DELETE", f"/v1/budgets/{ada['id']}")
    assert set(shown(staff)) == {"monthly: bob"}
    put(staff, "engineer", {**MONTHLY, "limit_usd": "100"})
    assert set(shown(staff)) == {"monthly: ada", "monthly: bob"}


def test_another_edition_is_not_overwritten(staff: Organization) -> None:
    put(staff, "engineer", MONTHLY)
    etag = staff.api.get("/v1/budget-templates/engineer").headers["etag"]
    body = {"budgets": [{**MONTHLY, "limit_usd": "1"}]}
    for status in (200, 412):
        answer = staff.api.put(
            "/v1/budget-templates/engineer", json=body, headers={"if-match": etag}
        )
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("budgets", "says"),
    [
        ([{**MONTHLY, "scope": {"person": "ada"}}], "leave 'person' out"),
        ([MONTHLY, MONTHLY], "a name of its own"),
        ([], "at least 1"),
        ([{**MONTHLY, "period": "fixed"}], "starts_at"),
    ],
)
def test_what_makes_no_template_is_refused(
    staff: Organization, budgets: list[Any], says: str
) -> None:
    answer = staff.ask("PUT", "/v1/budget-templates/engineer", {"budgets": budgets}, 422)
    assert says in str(answer)


def test_a_template_is_of_a_tier_that_there_is(staff: Organization) -> None:
    answer = staff.ask("PUT", "/v1/budget-templates/intern", {"budgets": [MONTHLY]}, 404)
    assert "intern" in answer["detail"]
