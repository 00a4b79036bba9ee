"""Keys for several projects, of which each request names one."""

from typing import Any

import pytest

from tests.control_plane.running import Organization


def known(org: Organization, key_id: str) -> dict[str, dict[str, list[str]]]:
    """What sidecars know it to be bound to, by project."""
    (record,) = [key for key in org.snapshot().keys if key.id == key_id]
    return record.projects


@pytest.fixture
def registry(org: Organization) -> Organization:
    for team, project in (("payments", "checkout"), ("search", "ranking")):
        org.post("/v1/teams", {"name": team})
        org.post("/v1/projects", {"name": project, "teams": [team]})
    return org


def test_each_project_brings_what_is_above_it(registry: Organization) -> None:
    body = {"name": "agent", "scope": {"person": "ada"}, "projects": ["checkout", "ranking", "new"]}
    made = registry.post("/v1/keys", body)
    assert made["projects"] == ["checkout", "ranking", "new"]
    ada = {"person": ["ada"]}
    assert known(registry, made["id"]) == {
        "checkout": {**ada, "project": ["checkout"], "team": ["payments"]},
        "ranking": {**ada, "project": ["ranking"], "team": ["search"]},
        "new": {**ada, "project": ["new"]},
    }
    registry.ask("PATCH", "/v1/projects/checkout", {"teams": ["search"]})
    registry.ask("PATCH", "/v1/projects/ranking", {"state": "archived"})
    assert known(registry, made["id"]) == {
        "checkout": {**ada, "project": ["checkout"], "team": ["search"]},
        "new": {**ada, "project": ["new"]},
    }


def test_it_is_tried_for_one_of_them(registry: Organization) -> None:
    registry.ask("PUT", "/v1/providers/openai", {"base_url": "http://127.0.0.1:1"})
    key = registry.post("/v1/keys", {"name": "k", "projects": ["checkout", "ranking"]})["id"]
    body = {"name": "b", "scope": {"team": "payments"}, "period": "day", "limit_usd": "1"}
    budget = registry.post("/v1/budgets", {**body, "kind": "hard"})["id"]
    question = {
        "key_id": key,
        "provider": "openai",
        "body": {"model": "gpt-4o-mini", "messages": [], "max_tokens": 5},
    }
    for project, met in (("checkout", [budget]), ("ranking", [])):
        asked = {**question, "facts": {"project": project}}
        found = registry.post("/v1/policies/evaluate", asked, 200)
        assert [one["id"] for one in found["budgets"]] == met
    answer = registry.post("/v1/policies/evaluate", question, 422)
    assert "checkout, ranking" in answer["detail"]


@pytest.mark.parametrize(
    ("wished", "has"),
    [
        ({}, (["a", "b"], {})),
        ({"projects": ["b"]}, (["b"], {})),
        ({"scope": {"project": "a"}}, (None, {"project": "a"})),
    ],
)
def test_a_delegated_key_has_no_more_of_them(
    org: Organization, wished: dict[str, Any], has: tuple[list[str] | None, dict[str, str]]
) -> None:
    above = org.post("/v1/keys", {"name": "above", "projects": ["a", "b"]})["id"]
    made = org.post("/v1/keys", {"name": "below", "delegated_from": above, **wished})
    assert (made["projects"], made["scope"]) == has


@pytest.mark.parametrize(
    ("above", "wished", "says"),
    [
        ({"projects": ["a", "b"]}, {"projects": ["a", "c"]}, "'c' is none of a, b"),
        ({"projects": ["a", "b"]}, {"scope": {"project": "c"}}, "'c' is none of a, b"),
        ({"scope": {"project": "a"}}, {"projects": ["a"]}, "it is of the project 'a'"),
    ],
)
def test_a_delegated_key_that_wishes_for_more_is_refused(
    org: Organization, above: dict[str, Any], wished: dict[str, Any], says: str
) -> None:
    key = org.post("/v1/keys", {"name": "above", **above})["id"]
    answer = org.post("/v1/keys", {"name": "below", "delegated_from": key, **wished}, 422)
    assert says in answer["detail"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"projects": ["a"], "scope": {"project": "a"}}, "not both"),
        ({"projects": []}, "at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(org: Organization, body: dict[str, Any], says: str) -> None:
    assert says in str(org.post("/v1/keys", {"name": "k", **body}, 422))


def test_it_travels_to_sidecars_of_any_of_its_projects(registry: Organization) -> None:
    registry.post("/v1/keys", {"name": "k", "projects": ["checkout", "ranking"]})
    for team, count in (("payments", 1), ("search", 1), ("nobody", 0)):
        body = {"name": "t", "scope": {"team": team}}
        token = registry.post("/v1/sidecar-tokens", body)["token"]
        registry.sidecar_token = token
        assert len(registry.snapshot().keys) == count
