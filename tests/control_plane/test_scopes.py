"""The scope registry, and the ancestors that a key counts against."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendra_control_plane.snapshots.ancestry import Scope, ancestors, flatten, is_closed
from tests.control_plane.running import Organization

KINDS = [
    ("teams", "team"),
    ("projects", "project"),
    ("people", "person"),
    ("agents", "agent"),
    ("cost-centers", "cost_center"),
    ("tiers", "tier"),
]


@pytest.mark.parametrize(("plural", "kind"), KINDS)
def test_each_kind_is_made_read_listed_and_edited(
    org: Organization, plural: str, kind: str
) -> None:
    made = org.post(f"/v1/{plural}", {"name": "R&D/core", "display_name": "Core"})
    assert (made["name"], made["kind"], made["state"]) == ("R&D/core", kind, "active")
    assert org.get(f"/v1/{plural}/R%26D%2Fcore") == made
    assert org.get(f"/v1/{plural}")["items"] == [made]
    path = f"/v1/{plural}/R%26D%2Fcore"
    own = {"cost": "42", "state": "of the art"}
    edited = org.ask("PATCH", path, {"attributes": own})
    assert (edited["attributes"], edited["display_name"]) == (own, "Core")
    edited = org.ask("PATCH", path, {"attributes": {"state": None, "tag": "x"}})
    assert edited["attributes"] == {"cost": "42", "tag": "x"}
    assert org.get(path) == edited


@pytest.mark.parametrize(("plural", "kind"), KINDS)
def test_each_kind_refuses_what_is_wrong(org: Organization, plural: str, kind: str) -> None:
    org.post(f"/v1/{plural}", {"name": "x"})
    taken = org.post(f"/v1/{plural}", {"name": "x"}, 409)
    assert taken["detail"] == f"The {kind} 'x' exists already; change it with PATCH."
    org.get(f"/v1/{plural}/nobody", 404)
    org.ask("PATCH", f"/v1/{plural}/nobody", {"display_name": "N"}, 404)
    org.post(f"/v1/{plural}", {"name": " "}, 422)
    org.post(f"/v1/{plural}", {"name": "y", "colour": "red"}, 422)


def test_a_person_has_an_email(org: Organization) -> None:
    org.post("/v1/people", {"name": "ada", "email": "ada@example.com"})
    assert org.get("/v1/people/ada")["email"] == "ada@example.com"
    edited = org.ask("PATCH", "/v1/people/ada", {"email": None})
    assert (edited["email"], edited["attributes"]) == (None, {})


def test_a_parent_must_exist_and_nothing_is_left_of_the_refused(org: Organization) -> None:
    refused = org.post("/v1/projects", {"name": "checkout", "teams": ["web"]}, 422)
    assert refused["detail"] == "There is no team 'web'; create it first."
    org.get("/v1/projects/checkout", 404)


def test_parents_form_no_loop(org: Organization) -> None:
    org.post("/v1/teams", {"name": "a"})
    org.post("/v1/teams", {"name": "b", "parent": "a"})
    refused = org.ask("PATCH", "/v1/teams/a", {"parent": "b"}, 422)
    assert refused["detail"] == "The team 'b' is below the team 'a' already."
    org.ask("PATCH", "/v1/teams/a", {"parent": "a"}, 422)


def test_a_key_counts_against_every_ancestor(org: Organization) -> None:
    org.post("/v1/teams", {"name": "company"})
    org.post("/v1/teams", {"name": "web", "parent": "company"})
    org.post("/v1/projects", {"name": "checkout", "teams": ["web"]})
    org.post("/v1/agents", {"name": "lead", "project": "checkout"})
    org.post("/v1/agents", {"name": "helper", "parent": "lead"})
    org.post("/v1/keys", {"name": "k", "scope": {"agent": "helper"}})
    assert org.snapshot().keys[0].scope == {
        "agent": ["helper", "lead"],
        "project": ["checkout"],
        "team": ["web", "company"],
    }


def test_a_new_parent_counts_from_the_next_snapshot(org: Organization) -> None:
    org.post("/v1/teams", {"name": "web"})
    org.post("/v1/keys", {"name": "k", "scope": {"project": "checkout"}})
    assert org.snapshot().keys[0].scope == {"project": ["checkout"]}
    moved = org.ask("PATCH", "/v1/projects/checkout", {"teams": ["web"]})
    assert moved["teams"] == ["web"]
    assert org.snapshot().keys[0].scope == {"project": ["checkout"], "team": ["web"]}
    assert org.ask("PATCH", "/v1/projects/checkout", {"teams": None})["teams"] == []
    assert org.snapshot().keys[0].scope == {"project": ["checkout"]}


def test_an_archived_scope_takes_no_new_keys(org: Organization) -> None:
    org.post("/v1/projects", {"name": "old", "state": "archived"})
    refused = org.post("/v1/keys", {"name": "k", "scope": {"project": "old"}}, 409)
    assert refused["detail"] == "The project 'old' is archived; set its state to 'active' first."


def test_the_old_name_of_a_field_says_the_new_one(org: Organization) -> None:
    refused = org.post("/v1/projects", {"name": "checkout", "team": "web"}, 422)
    assert "unknown field 'team'; did you mean 'teams'?" in refused["detail"]


def test_a_project_and_a_person_belong_to_several_teams(org: Organization) -> None:
    for team in ("web", "shop", "data"):
        org.post("/v1/teams", {"name": team})
    org.post("/v1/projects", {"name": "checkout", "teams": ["web", "shop"]})
    org.post("/v1/people", {"name": "ada", "teams": ["data", "web"]})
    org.post("/v1/keys", {"name": "k", "scope": {"project": "checkout", "person": "ada"}})
    assert org.snapshot().keys[0].scope["team"] == ["shop", "web", "data"]
    assert org.get("/v1/projects/checkout")["teams"] == ["shop", "web"]


def test_what_stays_when_a_scope_moves_is_not_written_anew(org: Organization) -> None:
    for team in ("web", "shop", "data"):
        org.post("/v1/teams", {"name": team})
    org.post("/v1/projects", {"name": "checkout", "teams": ["web", "shop"]})
    before = org.get("/v1/audit?what=scope_parents")["items"][0]["id"]
    org.ask("PATCH", "/v1/projects/checkout", {"teams": ["web", "data"]})
    written = [i for i in org.get("/v1/audit?what=scope_parents")["items"] if i["id"] > before]
    assert {(i["action"], (i["before"] or i["after"])["parent_name"]) for i in written} == {
        ("delete", "shop"),
        ("insert", "data"),
    }


def test_tiers_and_cost_centers_count_through_whom_they_belong_to(org: Organization) -> None:
    org.post("/v1/tiers", {"name": "senior"})
    for number in ("1", "2", "3"):
        org.post("/v1/cost-centers", {"name": number})
    org.post("/v1/teams", {"name": "web", "cost_center": "3"})
    org.post("/v1/projects", {"name": "checkout", "teams": ["web"], "cost_center": "2"})
    org.post("/v1/people", {"name": "ada", "tier": "senior", "cost_center": "1"})
    org.post("/v1/keys", {"name": "k", "scope": {"project": "checkout", "person": "ada"}})
    assert org.snapshot().keys[0].scope == {
        "project": ["checkout"],
        "person": ["ada"],
        "team": ["web"],
        "tier": ["senior"],
        "cost_center": ["2", "3", "1"],
    }


def test_an_archived_scope_takes_nothing_new_below_it(org: Organization) -> None:
    org.post("/v1/teams", {"name": "old", "state": "archived"})
    refused = org.post("/v1/projects", {"name": "checkout", "teams": ["old"]}, 409)
    assert refused["detail"] == "The team 'old' is archived; set its state to 'active' first."


def test_a_closed_scope_pauses_its_keys_until_it_is_open_again(org: Organization) -> None:
    for team in ("web", "shop"):
        org.post("/v1/teams", {"name": team})
    org.post("/v1/projects", {"name": "checkout", "teams": ["web", "shop"]})
    org.post("/v1/keys", {"name": "k", "scope": {"project": "checkout"}})
    seen = []
    for team, state in [("web", "archived"), ("shop", "archived"), ("web", "active")]:
        org.ask("PATCH", f"/v1/teams/{team}", {"state": state})
        seen.append(org.snapshot().keys[0].state)
    assert seen == ["active", "paused", "active"]
    org.ask("PATCH", "/v1/projects/checkout", {"state": "archived"})
    assert org.snapshot().keys[0].state == "paused"
    assert org.get("/v1/keys")["items"][0]["state"] == "active"


def test_a_revoked_key_of_a_closed_scope_stays_revoked(org: Organization) -> None:
    key = org.post("/v1/keys", {"name": "k", "scope": {"project": "checkout"}})
    org.post(f"/v1/keys/{key['id']}/revoke", status=200)
    org.ask("PATCH", "/v1/projects/checkout", {"state": "archived"})
    assert org.snapshot().keys[0].state == "revoked"


@pytest.mark.parametrize(
    ("archived", "closed"),
    [
        (set(), False),
        ({("agent", "helper")}, True),
        ({("agent", "lead")}, True),
        ({("project", "checkout")}, True),
        ({("team", "web")}, False),
        ({("team", "web"), ("team", "shop")}, True),
        ({("team", "company")}, False),
        ({("cost_center", "1")}, False),
    ],
)
def test_a_scope_is_closed_with_all_its_parents_of_a_kind(
    archived: set[Scope], closed: object
) -> None:
    parents = {
        ("agent", "helper"): [("agent", "lead"), ("project", "checkout")],
        ("project", "checkout"): [("team", "web"), ("team", "shop"), ("cost_center", "1")],
        ("team", "web"): [("team", "company")],
    }
    assert is_closed(("agent", "helper"), archived, parents) == closed


names = st.sampled_from("abcdef").map(lambda name: ("team", name))


@given(st.dictionaries(names, st.lists(names, max_size=3)), names)
def test_ancestors_are_each_named_once_even_in_a_loop(
    parents: dict[tuple[str, str], list[tuple[str, str]]], start: tuple[str, str]
) -> None:
    found = ancestors(start, parents)
    assert found[0] == start
    assert len(found) == len(set(found))
    assert {above for one in found for above in parents.get(one, ())} <= set(found)


def test_what_the_key_names_comes_first() -> None:
    parents = {("agent", "a"): [("project", "p")], ("project", "p"): [("team", "t")]}
    flat = flatten({"agent": "a", "project": "own"}, parents)
    assert flat == {"agent": ["a"], "project": ["own", "p"], "team": ["t"]}
