"""A proposed policy or budget held against past spend."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spendra.ids import account_id
from tests.control_plane.books import Books
from tests.control_plane.running import Organization

MIDDAY = datetime(2026, 3, 10, 12, tzinfo=UTC)
SPAN = {"from": "2026-03-01T00:00:00Z", "to": "2026-04-01T00:00:00Z"}


def replayed(org: Organization, **proposed: Any) -> dict[str, Any]:
    return org.ask("POST", "/v1/policies/replay", {**SPAN, **proposed})


def by_policy(org: Organization, rules: dict[str, Any], **scope: str) -> dict[str, Any]:
    return replayed(org, policy={"scope": scope, "rules": rules})


@pytest.fixture
async def past(books: Books, budget: str) -> Books:
    """Three requests, a second apart: 100 and 200 nano-USD of ada's, 50 of bob's."""
    account = await books.open_account(budget)
    for n, (person, cost) in enumerate([("ada", 100), ("ada", 200), ("bob", 50)]):
        books.facts = {
            "project": ["checkout"],
            "person": [person],
            "model": ["gpt-5-mini"],
            "provider": ["openai"],
            "label:feature": ["search"],
        }
        books.reserved_at = MIDDAY + timedelta(seconds=n)
        await books.spend(cost, account)
    return books


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize(
    ("rules", "stopped", "saved", "reason"),
    [
        ({"models_deny": ["gpt-5*"]}, 3, 350, "model_not_allowed"),
        ({"models_deny": ["gpt-5"]}, 0, 0, None),
        ({"models_allow": ["gpt-?-mini"]}, 0, 0, None),
        ({"models_allow": ["claude-*"]}, 3, 350, "model_not_allowed"),
        ({"providers_allow": ["openai"]}, 0, 0, None),
        ({"providers_deny": ["openai"]}, 3, 350, "provider_not_allowed"),
        ({"vendors_allow": ["openai"]}, 0, 0, None),
        ({"vendors_deny": ["open*"]}, 3, 350, "vendor_not_allowed"),
        ({"required_labels": ["feature"]}, 0, 0, None),
        ({"required_labels": ["owner"]}, 3, 350, "label_missing"),
        ({"labels_allow": {"feature": ["nothing"], "owner": ["x"]}}, 3, 350, "label_not_allowed"),
        ({"max_request_usd": "0.0000002"}, 0, 0, None),
        ({"max_request_usd": "0.000000199"}, 1, 200, "request_too_expensive"),
        ({"requests_per_minute": 2}, 1, 50, "rate_limited"),
        ({"requests_per_minute": 3}, 0, 0, None),
    ],
)
async def test_each_rule_is_held_against_what_was_spent(
    org: Organization, rules: dict[str, Any], stopped: int, saved: int, reason: str
) -> None:
    found = by_policy(org, rules)
    assert (found["seen"], found["spent_nanousd"]) == (3, 350)
    assert (found["stopped"], found["saved_nanousd"]) == (stopped, saved)
    assert [each["reason"] for each in found["reasons"]] == ([reason] if reason else [])
    assert len(found["examples"]) == stopped


@pytest.mark.usefixtures("past")
async def test_who_would_have_been_stopped_is_named_the_most_expensive_first(
    org: Organization,
) -> None:
    found = by_policy(org, {"models_deny": ["*"]})["callers"]
    assert [(each["scope"]["person"], each["stopped"], each["saved_usd"]) for each in found] == [
        ("ada", 2, "0.0000003"),
        ("bob", 1, "0.00000005"),
    ]


@pytest.mark.usefixtures("past")
async def test_only_requests_in_its_scope_and_time_are_seen(org: Organization) -> None:
    assert by_policy(org, {"models_deny": ["*"]}, person="bob")["saved_nanousd"] == 50
    early = {"to": "2026-03-10T12:00:01Z", "policy": {"rules": {"models_deny": ["*"]}}}
    assert replayed(org, **early)["saved_nanousd"] == 100


async def test_a_budget_fills_window_by_window(org: Organization, past: Books, budget: str) -> None:
    daily = {"name": "b", "period": "day", "limit_usd": "0.0000003", "kind": "hard"}
    found = replayed(org, budget=daily)
    assert (found["stopped"], found["saved_nanousd"]) == (1, 50)
    past.reserved_at = MIDDAY + timedelta(days=1)
    await past.spend(300, account_id(budget, 0))
    assert replayed(org, budget=daily)["stopped"] == 1, "the next day has room of its own"
    assert replayed(org, budget={**daily, "period": "month"})["stopped"] == 2


@pytest.mark.usefixtures("past")
async def test_what_the_ledger_cannot_tell_is_said(org: Organization) -> None:
    found = by_policy(org, {"tools_deny": ["*"], "max_output_tokens": 1})
    assert (found["stopped"], found["not_replayed"]) == (0, ["tools_deny"])
    assert found["shortened"] == 3


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "give either 'policy' or 'budget'"),
        ({"policy": {"rules": {"models_deny": ["*"]}}, "to": SPAN["from"]}, "must be later"),
    ],
)
def test_what_cannot_be_replayed_is_said(
    org: Organization, body: dict[str, Any], message: str
) -> None:
    found = org.ask("POST", "/v1/policies/replay", {**SPAN, **body}, 422)
    assert message in str(found["errors"])
