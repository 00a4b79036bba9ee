"""What would happen to a request: asked of the control plane, decided as sidecars decide."""

from typing import Any

import pytest

from tests.control_plane.books import Books
from tests.control_plane.running import Organization

BODY = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100}
ASK: dict[str, Any] = {"provider": "openai", "body": BODY, "scope": {"project": "checkout"}}


def evaluated(org: Organization, **change: Any) -> dict[str, Any]:
    return org.ask("POST", "/v1/policies/evaluate", {**ASK, **change})


def test_what_fits_is_admitted_at_its_worst_case(org: Organization) -> None:
    budget = {"name": "all", "period": "day", "limit_usd": "1", "kind": "hard"}
    made = org.post("/v1/budgets", {**budget, "scope": {"project": "checkout"}})
    org.post("/v1/budgets", {**budget, "scope": {"project": "search"}})
    found = evaluated(org)
    assert (found["outcome"], found["reason"], found["output_cap"]) == ("admitted", None, 100)
    assert found["reserved_nanousd"] > 100 * 8000
    assert [(each["id"], each["fits"]) for each in found["budgets"]] == [(made["id"], True)]
    assert found["scope"]["project"] == ["checkout"]


async def test_what_does_not_fit_names_the_budget(
    org: Organization, books: Books, budget: str
) -> None:
    await books.spend(10**9 - 5, await books.open_account(budget))
    found = evaluated(org)
    assert (found["outcome"], found["reason"]) == ("refused", "budget_exhausted")
    assert found["budgets"][0]["remaining_nanousd"] == 5


def test_rules_in_force_say_why(org: Organization) -> None:
    rules = {"models_allow": ["gpt-4o*"]}
    made = org.post("/v1/policies", {"name": "small", "scope": {"team": "web"}, "rules": rules})
    org.post("/v1/teams", {"name": "web"})
    org.post("/v1/projects", {"name": "checkout", "teams": ["web"]})
    found = evaluated(org)
    assert (found["outcome"], found["reason"]) == ("refused", "model_not_allowed")
    assert found["rules"][0]["policy_id"] == made["id"]
    assert evaluated(org, scope={"project": "other"})["outcome"] == "admitted"


def test_a_policy_is_tried_before_it_is_in_force(org: Organization) -> None:
    strict = {"rules": {"max_output_tokens": 10}}
    assert evaluated(org, policy=strict)["output_cap"] == 10
    assert evaluated(org)["output_cap"] == 100
    made = org.post("/v1/policies", {"name": "none", "rules": {"models_deny": ["*"]}})
    assert evaluated(org)["outcome"] == "refused"
    instead = {**strict, "replaces": made["id"]}
    assert evaluated(org, policy=instead)["outcome"] == "admitted"
    assert org.get("/v1/policies")["items"] == [made]


def test_a_keys_own_limits_count(org: Organization) -> None:
    key = org.post("/v1/keys", {"name": "k", "scope": {"project": "x"}, "models": ["gpt-4o"]})
    found = evaluated(org, key_id=key["id"], scope={})
    assert (found["reason"], found["scope"]["key"]) == ("model_not_allowed", [key["id"]])
    org.ask("POST", f"/v1/keys/{key['id']}/pause")
    refused = org.ask(
        "POST", "/v1/policies/evaluate", {**ASK, "key_id": key["id"], "scope": {}}, 422
    )
    assert "key_paused" in refused["detail"]


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"path": "/v1/nothing"}, 422, "is no path of a sidecar"),
        ({"path": "/v1/files"}, 422, "is no path of a sidecar"),
        ({"body": {"model": 5}}, 422, "cannot be read"),
        ({"key_id": "k"}, 422, "either 'key_id' or 'scope'"),
        ({"key_id": "k", "scope": {}}, 404, "'k'"),
        ({"policy": {"rules": {"models_deny": ["x"]}, "replaces": "pol_x"}}, 404, "pol_x"),
        ({"facts": {"labl:x": "y"}}, 422, "is not a scope dimension"),
    ],
)
def test_a_wrong_question_is_named(
    org: Organization, change: dict[str, Any], status: int, said: str
) -> None:
    answer = org.ask("POST", "/v1/policies/evaluate", {**ASK, **change}, status)
    assert said in answer["detail"]


def test_a_key_below_a_paused_one_is_refused_as_sidecars_refuse_it(org: Organization) -> None:
    above = org.post("/v1/keys", {"name": "above"})
    below = org.post("/v1/keys", {"name": "below", "delegated_from": above["id"]})
    org.post(f"/v1/keys/{above['id']}/pause", status=200)
    body = {"model": "gpt-4o", "messages": [], "max_tokens": 5}
    asked = {"key_id": below["id"], "provider": "openai", "body": body}
    answer = org.post("/v1/policies/evaluate", asked, 422)
    assert "key_paused" in answer["detail"]
