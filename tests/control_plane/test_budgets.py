"""Budgets: written, edited, closed, and as the snapshot says them."""

from typing import Any

import pytest

from spendra.snapshot import BudgetRecord
from tests.control_plane.running import Organization

MONTHLY = {
    "name": "checkout",
    "scope": {"project": "checkout"},
    "period": "month",
    "limit_usd": "12.50",
    "kind": "hard",
}


def records(org: Organization) -> list[BudgetRecord]:
    return org.snapshot().policy.budgets


def test_a_budget_reaches_the_snapshot(org: Organization) -> None:
    scope = {"project": ["a", "b"], "label:feature": "search", "model": "gpt-*"}
    body = {**MONTHLY, "scope": scope, "timezone": "Europe/Zurich"}
    made = org.post("/v1/budgets", body)
    assert made["id"].startswith("bud_")
    assert (made["limit_nanousd"], made["limit_usd"]) == (12_500_000_000, "12.50")
    selector = {"project": ["a", "b"], "label:feature": ["search"], "model": ["gpt-*"]}
    assert made["scope"] == selector
    assert records(org) == [
        BudgetRecord(
            id=made["id"],
            name="checkout",
            selector=selector,
            period="month",
            timezone="Europe/Zurich",
            limit_nanousd=12_500_000_000,
            kind="hard",
            version=1,
        )
    ]


def test_a_fixed_budget_has_dates(org: Organization) -> None:
    dates = {"starts_at": "2026-01-01T00:00:00+01:00", "ends_at": "2026-02-01T00:00:00Z"}
    org.post("/v1/budgets", {**MONTHLY, "period": "fixed", **dates})
    found = records(org)[0]
    assert (found.starts_at_ms, found.ends_at_ms) == (1_767_222_000_000, 1_769_904_000_000)


@pytest.mark.parametrize(
    ("written", "nanousd"),
    [
        ("0.000000001", 1),
        (100, 100_000_000_000),
        ("0", 0),
        ("9000000000", 9_000_000_000_000_000_000),
    ],
)
def test_limits_are_exact(org: Organization, written: object, nanousd: int) -> None:
    assert org.post("/v1/budgets", {**MONTHLY, "limit_usd": written})["limit_nanousd"] == nanousd


def test_a_number_with_a_point_never_passes_through_a_float(org: Organization) -> None:
    content = b'{"name":"b","period":"none","kind":"hard","limit_usd":8999999999.123456789}'
    headers = {"content-type": "application/json"}
    made = org.api.post("/v1/budgets", content=content, headers=headers).json()
    assert made["limit_nanousd"] == 8_999_999_999_123_456_789


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"scope": {"projcet": "x"}},
            "not a scope dimension; did you mean 'project'?",
        ),
        ({"scope": {"feature": "x"}}, "A label is written 'label:feature'."),
        ({"scope": {"project": []}}, "'project' has no value"),
        ({"scope": {"label:": "x"}}, "'label:' is not a scope dimension"),
        ({"limit_usd": "-1"}, "cannot be negative"),
        ({"limit_usd": "1e30"}, "outside the range"),
        ({"limit_usd": "NaN"}, "outside the range"),
        ({"limit_usd": "0.0000000001"}, "more than nine decimals"),
        ({"limit_usd": None}, "decimal string"),
        ({"period": "decade"}, "period"),
        ({"timezone": "Mars/Olympus"}, "'Mars/Olympus' is not a time zone"),
        ({"kind": "firm"}, "kind"),
        ({"starts_at": "2026-01-01T00:00:00Z"}, "belong to period 'fixed' only"),
        ({"period": "fixed"}, "needs 'starts_at' and a later 'ends_at'"),
        ({"limt_usd": "1"}, "unknown field 'limt_usd'; did you mean 'limit_usd'?"),
    ],
)
def test_what_is_wrong_is_named(org: Organization, change: dict[str, Any], message: str) -> None:
    assert message in org.post("/v1/budgets", {**MONTHLY, **change}, 422)["detail"]
    assert records(org) == []


def test_each_edit_of_the_limit_raises_its_version(org: Organization) -> None:
    path = f"/v1/budgets/{org.post('/v1/budgets', MONTHLY)['id']}"
    renamed = org.ask("PATCH", path, {"name": "shop"})
    assert (renamed["name"], renamed["version"]) == ("shop", 1)
    lowered = org.ask("PATCH", path, {"limit_usd": "1"})
    assert (lowered["limit_nanousd"], lowered["version"]) == (1_000_000_000, 2)
    assert org.ask("PATCH", path, {"limit_usd": "1.00"})["version"] == 2
    found = records(org)[0]
    assert (found.name, found.limit_nanousd, found.version) == ("shop", 1_000_000_000, 2)


@pytest.mark.parametrize("body", [{}, {"limit_usd": None}, {"period": "day"}, {"name": ""}])
def test_an_edit_changes_something_that_can_change(org: Organization, body: dict[str, Any]) -> None:
    path = f"/v1/budgets/{org.post('/v1/budgets', MONTHLY)['id']}"
    org.ask("PATCH", path, body, 422)


def test_deleting_closes_and_keeps_the_history(org: Organization) -> None:
    path = f"/v1/budgets/{org.post('/v1/budgets', MONTHLY)['id']}"
    closed = org.ask("DELETE", path)
    assert closed["state"] == "closed"
    assert org.get(path) == closed
    assert org.get("/v1/budgets")["items"] == []
    assert org.get("/v1/budgets?state=closed")["items"] == [closed]
    assert records(org) == []
    assert "closed" in org.ask("PATCH", path, {"limit_usd": "2"}, 409)["detail"]
    org.ask("DELETE", path, None, 409)


def test_an_unknown_budget_is_not_found(org: Organization) -> None:
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/spend")):
        body = {"name": "x"} if method == "PATCH" else None
        org.ask(method, f"/v1/budgets/bud_nobody{path}", body, 404)


def test_a_hard_budget_may_fail_open_up_to_an_amount_and_a_soft_one_may_not(
    org: Organization,
) -> None:
    body = {"name": "b", "period": "month", "limit_usd": "100", "kind": "hard"}
    made = org.post("/v1/budgets", {**body, "open_up_to_usd": "2.50"})
    assert (made["open_up_to_nanousd"], made["open_up_to_usd"]) == (2_500_000_000, "2.50")
    assert [each.open_up_to_nanousd for each in org.snapshot().policy.budgets] == [2_500_000_000]
    path = f"/v1/budgets/{made['id']}"
    assert org.ask("PATCH", path, {"open_up_to_usd": "0"})["open_up_to_usd"] == "0.00"
    org.ask("PATCH", path, {"open_up_to_usd": "1"})
    org.ask("PATCH", path, {"kind": "soft"}, status=409)
    soft = {**body, "kind": "soft", "open_up_to_usd": "1"}
    assert "hard" in org.post("/v1/budgets", soft, status=422)["detail"]
