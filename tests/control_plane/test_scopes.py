"""The scope registry, and the ancestors that a key counts against."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendra_control_plane.snapshots.ancestry import ancestors, flatten
from tests.control_plane.running import Organization

KINDS = [("teams", "team"), ("projects", "project"), ("people", "person"), ("agents", "agent")]


@pytest.mark.parametrize(("plural", "kind"), KINDS)
def test_each_kind_is_made_read_listed_and_edited(
    org: Organization, plural: str, kind: str
) -> None:
    made = org.post(f"/v1/{plural}", {"name": "R&D/core", "display_name": "Core"})
    assert (made["name"], made["kind"], made["state"]) == ("R&D/core", kind, "active")
    assert org.get(f"/v1/{plural}/R%26D%2Fcore") == made
    assert org.get(f"/v1/{plural}")["items"] == [made]
    edited = org.ask("PATCH", f"/v1/{plural}/R%26D%2Fcore", {"attributes": {"cost": "42"}})
    assert (edited["cost"], edited["display_name"]) == ("42", "Core")


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


def test_a_parent_must_exist_and_nothing_is_left_of_the_refused(org: Organization) -> None:
    refused = org.post("/v1/projects", {"name": "checkout", "team": "web"}, 422)
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
    org.post("/v1/projects", {"name": "checkout", "team": "web"})
    org.post("/v1/agents", {"name": "lead", "project": "checkout"})
    org.post("/v1/agents", {"name": "helper", "parent": "lead"})
    org.post("/v1/keys", {"name": "k", "scope": {"agent": "helper"}})
    assert org.snapshot().keys.keys[0].scope == {
        "agent": ["helper", "lead"],
        "project": ["checkout"],
        "team": ["web", "company"],
    }


def test_a_new_parent_counts_from_the_next_snapshot(org: Organization) -> None:
    org.post("/v1/teams", {"name": "web"})
    org.post("/v1/keys", {"name": "k", "scope": {"project": "checkout"}})
    assert org.snapshot().keys.keys[0].scope == {"project": ["checkout"]}
    assert org.ask("PATCH", "/v1/projects/checkout", {"team": "web"})["team"] == "web"
    assert org.snapshot().keys.keys[0].scope == {"project": ["checkout"], "team": ["web"]}
    assert org.ask("PATCH", "/v1/projects/checkout", {"team": None})["team"] is None
    assert org.snapshot().keys.keys[0].scope == {"project": ["checkout"]}


def test_an_archived_scope_takes_no_new_keys(org: Organization) -> None:
    org.post("/v1/projects", {"name": "old", "state": "archived"})
    refused = org.post("/v1/keys", {"name": "k", "scope": {"project": "old"}}, 409)
    assert refused["detail"] == "The project 'old' is archived; set its state to 'active' first."


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
