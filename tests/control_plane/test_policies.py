"""Policies and provider routes: what a request may do, and where it goes."""

from typing import Any

import msgspec
import pytest

from spendra.snapshot import RouteRecord, Rules
from spendra_control_plane.api.bodies.policies import RulesBody
from tests.control_plane.running import Organization

POLICY = {
    "name": "cheap",
    "scope": {"team": "web"},
    "rules": {"models_allow": ["gpt-*-mini"], "max_request_usd": "0.25"},
}
OPENAI = {"base_url": "https://api.openai.com/", "credential": "sk-very-secret"}


def test_people_can_write_every_rule_of_the_snapshot() -> None:
    fields = {field.name for field in msgspec.structs.fields(Rules)}
    typed = {name.replace("_usd", "_nanousd") for name in RulesBody.model_fields}
    assert typed == fields


def test_a_policy_reaches_the_snapshot(org: Organization) -> None:
    made = org.post("/v1/policies", POLICY)
    assert made["id"].startswith("pol_")
    assert made["rules"] == {
        "models_allow": ["gpt-*-mini"],
        "max_request_nanousd": 250_000_000,
        "max_request_usd": "0.25",
    }
    found = org.snapshot().policy.policies[0]
    assert (found.id, found.name, found.selector) == (made["id"], "cheap", {"team": ["web"]})
    assert found.rules == Rules(models_allow=["gpt-*-mini"], max_request_nanousd=250_000_000)


def test_editing_replaces_scope_and_rules_whole(org: Organization) -> None:
    path = f"/v1/policies/{org.post('/v1/policies', POLICY)['id']}"
    edited = org.ask("PATCH", path, {"rules": {"max_output_tokens": 5}})
    assert (edited["name"], edited["rules"]) == ("cheap", {"max_output_tokens": 5})
    assert org.ask("PATCH", path, {"name": "c", "scope": {}})["scope"] == {}
    assert org.get(path)["rules"] == {"max_output_tokens": 5}
    assert org.snapshot().policy.policies[0].rules == Rules(max_output_tokens=5)


def test_deleting_silences_a_policy(org: Organization) -> None:
    path = f"/v1/policies/{org.post('/v1/policies', POLICY)['id']}"
    assert org.ask("DELETE", path)["state"] == "closed"
    assert org.get("/v1/policies")["items"] == []
    assert len(org.get("/v1/policies?state=closed")["items"]) == 1
    assert org.snapshot().policy.policies == []
    org.ask("PATCH", path, {"name": "x"}, 409)
    org.ask("DELETE", "/v1/policies/pol_nobody", None, 404)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rules": {}}, "a policy needs a rule"),
        ({"rules": {"model_allow": ["x"]}}, "did you mean 'models_allow'?"),
        ({"rules": {"models_allow": []}}, "name at least one pattern"),
        ({"rules": {"max_output_tokens": 0}}, "rules.max_output_tokens"),
        ({"rules": {"max_request_usd": "0"}}, "must be above 0"),
        ({"scope": {"peson": "x"}}, "did you mean 'person'?"),
    ],
)
def test_a_wrong_policy_is_named(org: Organization, change: dict[str, Any], message: str) -> None:
    assert message in org.post("/v1/policies", {**POLICY, **change}, 422)["detail"]


def test_a_route_reaches_the_snapshot_and_its_credential_no_answer(org: Organization) -> None:
    made = org.ask("PUT", "/v1/providers/openai", OPENAI)
    assert (made["base_url"], made["has_credential"]) == ("https://api.openai.com", True)
    assert org.get("/v1/providers")["items"] == [made]
    assert org.snapshot().secrets.routes == [
        RouteRecord(
            provider="openai",
            kind="openai",
            base_url="https://api.openai.com",
            credential="sk-very-secret",
            models=["*"],
        )
    ]


def test_a_stored_credential_stays_where_it_was_meant_for(org: Organization) -> None:
    org.ask("PUT", "/v1/providers/openai", OPENAI)
    kept = {"base_url": OPENAI["base_url"], "models": ["gpt-*"]}
    assert org.ask("PUT", "/v1/providers/openai", kept)["has_credential"]
    moved = {"base_url": "https://elsewhere.example"}
    refused = org.ask("PUT", "/v1/providers/openai", moved, 422)
    assert "give its credential again" in refused["detail"]
    bare = org.ask("PUT", "/v1/providers/openai", {**moved, "credential": None})
    assert not bare["has_credential"]
    assert org.snapshot().secrets.routes[0].credential == ""


def test_routes_are_tried_in_the_order_in_which_they_were_made(org: Organization) -> None:
    for provider in ("zeta", "alpha"):
        org.ask("PUT", f"/v1/providers/{provider}", OPENAI)
    org.ask("PUT", "/v1/providers/zeta", OPENAI)
    assert [one.provider for one in org.snapshot().secrets.routes] == ["zeta", "alpha"]


def test_a_route_is_removed(org: Organization) -> None:
    org.ask("PUT", "/v1/providers/openai", OPENAI)
    assert org.ask("DELETE", "/v1/providers/openai")["state"] == "removed"
    org.ask("DELETE", "/v1/providers/openai", None, 404)
    assert org.snapshot().secrets.routes == []


@pytest.mark.parametrize(
    ("base_url", "message"),
    [
        ("https://api.openai.com/v1", "leave '/v1' out"),
        ("api.openai.com", "write an origin"),
        ("ftp://api.openai.com", "write an origin"),
        ("https://user:pass@host", "leave user and password out"),
        ("https://host?key=1", "write an origin"),
    ],
)
def test_a_wrong_address_is_named(org: Organization, base_url: str, message: str) -> None:
    body = {**OPENAI, "base_url": base_url}
    refused = org.ask("PUT", "/v1/providers/openai", body, 422)
    assert message in refused["detail"]


def test_a_wrong_provider_name_is_refused(org: Organization) -> None:
    org.ask("PUT", "/v1/providers/Open AI", OPENAI, 422)


def test_a_policy_has_versions_and_an_earlier_one_can_be_in_force_again(org: Organization) -> None:
    made = org.post("/v1/policies", POLICY)
    path = f"/v1/policies/{made['id']}"
    org.api.headers["x-audit-reason"] = "too wide"
    org.ask("PATCH", path, {"rules": {"max_output_tokens": 5}})
    del org.api.headers["x-audit-reason"]
    org.ask("PATCH", path, {"name": "cheaper"})
    third, second, first = org.get(f"{path}/versions")["items"]
    assert (first["name"], first["rules"], first["scope"]) == (
        "cheap", made["rules"], made["scope"],
    )  # fmt: skip
    assert second["reason"] == "too wide"
    assert second["changed"] == {
        "rules": {"from": made["rules"], "to": {"max_output_tokens": 5}},
    }
    assert third["changed"] == {"name": {"from": "cheap", "to": "cheaper"}}
    back = org.ask("POST", f"{path}/rollback", {"version": first["version"]})
    assert (back["name"], back["rules"]) == ("cheap", made["rules"])
    assert org.snapshot().policy.policies[0].rules.models_allow == ["gpt-*-mini"]
    newest = org.get(f"{path}/versions?limit=1")
    assert newest["items"][0]["rules"] == made["rules"]
    older = org.get(f"{path}/versions?limit=1&cursor={newest['next_cursor']}")
    assert older["items"] == [third]


def test_there_is_no_way_back_to_what_never_was(org: Organization) -> None:
    made, other = org.post("/v1/policies", POLICY), org.post("/v1/policies", POLICY)
    (theirs,) = org.get(f"/v1/policies/{other['id']}/versions")["items"]
    path = f"/v1/policies/{made['id']}/rollback"
    assert "version" in org.ask("POST", path, {"version": theirs["version"]}, 404)["detail"]
    org.ask("DELETE", f"/v1/policies/{made['id']}")
    (_, mine) = org.get(f"/v1/policies/{made['id']}/versions")["items"]
    org.ask("POST", path, {"version": mine["version"]}, 409)
    org.get("/v1/policies/pol_nobody/versions", 404)
