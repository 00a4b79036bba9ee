"""Keys: made, shown once, rotated, paused, resumed, revoked."""

import hashlib
import hmac
from typing import Any

import pytest

from spendra._hot import KeyRing, KeyShard, Principal, shard_of_key
from spendra.snapshot import KeyRecord, keys_name
from tests.control_plane.running import Organization


def record(org: Organization) -> KeyRecord:
    return org.snapshot().keys[0]


def hash_of(org: Organization, key: str) -> str:
    pepper = bytes.fromhex(org.snapshot().secrets.key_pepper)
    return hmac.new(pepper, key.encode(), hashlib.sha256).hexdigest()


def test_a_key_reaches_the_snapshot_as_a_keyed_hash(org: Organization) -> None:
    made = org.post(
        "/v1/keys",
        {
            "name": "ci",
            "scope": {"project": "checkout"},
            "environment": "test",
            "models": ["gpt-*"],
            "expires_at": "2999-01-01T00:00:00Z",
            "max_request_usd": "0.5",
        },
    )
    assert made["key"].startswith(f"spd_test_{made['id']}_")
    assert (made["max_request_nanousd"], made["max_request_usd"]) == (500_000_000, "0.50")
    found = record(org)
    assert (found.id, found.name, found.environment) == (made["id"], "ci", "test")
    assert (found.state, found.models, found.max_request_nanousd) == (
        "active",
        ["gpt-*"],
        500_000_000,
    )
    assert found.expires_at_ms == 32_472_144_000_000
    assert [one.hash for one in found.hashes] == [hash_of(org, made["key"])]


def test_its_text_is_shown_once(org: Organization) -> None:
    made = org.post("/v1/keys", {"name": "ci"})
    shown = {name: value for name, value in made.items() if name != "key"}
    assert org.get(f"/v1/keys/{made['id']}") == shown
    assert org.get("/v1/keys")["items"] == [shown]


def test_a_scope_named_for_the_first_time_is_registered(org: Organization) -> None:
    scope = {"project": "new", "person": "ada", "agent": "bot", "team": "web"}
    assert org.post("/v1/keys", {"name": "ci", "scope": scope})["scope"] == scope
    for path in ("projects/new", "people/ada", "agents/bot", "teams/web"):
        assert org.get(f"/v1/{path}")["state"] == "active"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "name: Field required"),
        ({"name": "k", "scope": {"proj": "x"}}, "did you mean 'project'?"),
        ({"name": "k", "scope": {"model": "x"}}, "a key cannot be bound to 'model'"),
        ({"name": "k", "scope": {"project": ""}}, "a value of 'project' is blank"),
        ({"name": "k", "scope": {"project": ["a"]}}, "scope.project"),
        ({"name": "k", "environment": "Prod!"}, "environment"),
        ({"name": "k", "models": []}, "name at least one pattern"),
        ({"name": "k", "max_request_usd": "0"}, "must be above 0"),
        ({"name": "k", "max_request_usd": "x"}, "is not an amount of dollars"),
        ({"name": "k", "max_request_usd": 0.0000000001}, "more than nine decimals"),
        ({"name": "k", "max_request_usd": True}, "decimal string"),
        ({"name": "k", "expires_at": "2999-01-01T00:00:00"}, "timezone"),
        ({"name": "k", "expires_at": 1}, "a moment with its offset"),
        ({"name": "k", "max_request": 5}, "unknown field 'max_request'"),
    ],
)
def test_what_is_wrong_is_named(org: Organization, body: dict[str, Any], message: str) -> None:
    assert message in org.post("/v1/keys", body, 422)["detail"]
    assert org.get("/v1/keys")["items"] == []


def test_a_number_with_a_point_is_taken_exactly(org: Organization) -> None:
    content = b'{"name": "k", "max_request_usd": 0.123456789}'
    headers = {"content-type": "application/json"}
    made = org.api.post("/v1/keys", content=content, headers=headers).json()
    assert made["max_request_nanousd"] == 123_456_789


def test_pausing_and_resuming(org: Organization) -> None:
    key_id = org.post("/v1/keys", {"name": "k"})["id"]
    paused = org.post(f"/v1/keys/{key_id}/pause", status=200)
    assert (paused["id"], paused["state"]) == (key_id, "paused")
    assert record(org).state == "paused"
    assert org.post(f"/v1/keys/{key_id}/resume", status=200)["state"] == "active"
    assert record(org).state == "active"


def test_revoking_is_for_ever_and_may_be_said_twice(org: Organization) -> None:
    key_id = org.post("/v1/keys", {"name": "k"})["id"]
    first = org.post(f"/v1/keys/{key_id}/revoke", status=200)
    assert org.post(f"/v1/keys/{key_id}/revoke", status=200) == first
    assert record(org).state == "revoked"
    for action in ("resume", "pause", "rotate"):
        refused = org.post(f"/v1/keys/{key_id}/{action}", status=409)
        assert "revoked for ever" in refused["detail"]
    assert [one["id"] for one in org.get("/v1/keys?state=revoked")["items"]] == [key_id]
    assert org.get("/v1/keys?state=active")["items"] == []


def test_rotating_replaces_the_text_at_once(org: Organization) -> None:
    made = org.post("/v1/keys", {"name": "k"})
    rotated = org.post(f"/v1/keys/{made['id']}/rotate", status=200)
    assert (rotated["id"], rotated["state"]) == (made["id"], "active")
    assert [one.hash for one in record(org).hashes] == [hash_of(org, rotated["key"])]


def test_the_sidecar_knows_a_key_before_and_after_its_rotation(org: Organization) -> None:
    made = org.post("/v1/keys", {"name": "k", "scope": {"project": "checkout"}})
    rotated = org.post(f"/v1/keys/{made['id']}/rotate", status=200)
    snapshot = org.snapshot()
    pepper = bytes.fromhex(snapshot.secrets.key_pepper)
    shard = KeyShard.load(snapshot.segments[keys_name(shard_of_key(made["id"]))])
    ring = KeyRing([shard], pepper)
    principal = ring.authenticate(rotated["key"], 0)
    assert isinstance(principal, Principal)
    assert (principal.key_id, principal.scope()) == (made["id"], {"project": ["checkout"]})
    assert ring.authenticate(made["key"], 0) == "key_unknown"


def test_rotating_with_grace_leaves_both_for_a_while(org: Organization) -> None:
    made = org.post("/v1/keys", {"name": "k"})
    body = {"grace_seconds": 3600}
    rotated = org.post(f"/v1/keys/{made['id']}/rotate", body, 200)
    expiry = {one.hash: one.expires_at_ms is not None for one in record(org).hashes}
    assert expiry == {hash_of(org, made["key"]): True, hash_of(org, rotated["key"]): False}


@pytest.mark.parametrize("action", ["revoke", "pause", "resume", "rotate"])
def test_an_unknown_key_is_not_found(org: Organization, action: str) -> None:
    refused = org.post(f"/v1/keys/nobody/{action}", status=404)
    assert refused["detail"] == "There is no key 'nobody' in this organization."


def test_a_wrong_grace_is_refused(org: Organization) -> None:
    key_id = org.post("/v1/keys", {"name": "k"})["id"]
    org.post(f"/v1/keys/{key_id}/rotate", {"grace_seconds": -1}, 422)
    org.post(f"/v1/keys/{key_id}/rotate", {"grace": 1}, 422)


def test_keys_that_leaked_are_found_in_a_text(org: Organization) -> None:
    good, rotated, revoked = (org.post("/v1/keys", {"name": f"k{n}"}) for n in range(3))
    org.ask("POST", f"/v1/keys/{rotated['id']}/rotate", {})
    org.ask("POST", f"/v1/keys/{revoked['id']}/revoke")
    cut = good["key"][:-3]
    nobody = f"spd_live_AAAAAAAAAAAA_{'x' * 38}"
    text = f"a={good['key']}; b='{rotated['key']}'\n{revoked['key']}.\n{nobody} {cut}"
    found = org.ask("POST", "/v1/keys/scan", {"text": text})["items"]
    assert {one["id"]: one["works"] for one in found} == {
        good["id"]: True,
        rotated["id"]: False,
        revoked["id"]: False,
    }
    assert good["key"] not in repr(found)
    (short,) = org.ask("POST", "/v1/keys/scan", {"text": cut})["items"]
    assert (short["id"], short["works"]) == (good["id"], False)
    assert org.ask("POST", "/v1/keys/scan", {"text": "nothing"})["items"] == []


def delegated(org: Organization, above: str, status: int = 201, **body: Any) -> dict[str, Any]:
    return org.post("/v1/keys", {"name": "sub", "delegated_from": above, **body}, status)


def test_a_delegated_key_has_what_it_leaves_out_from_the_key_above(org: Organization) -> None:
    above = org.post(
        "/v1/keys",
        {
            "name": "agent",
            "scope": {"agent": "planner", "project": "checkout"},
            "environment": "test",
            "models": ["gpt-*", "o1"],
            "max_request_usd": "0.5",
            "expires_at": "2999-01-01T00:00:00Z",
        },
    )
    below = delegated(org, above["id"], models=["o1"])
    assert below["models"] == ["o1"]
    for name in ("scope", "environment", "providers", "max_request_nanousd", "expires_at"):
        assert below[name] == above[name], name
    deepest = delegated(org, below["id"], max_request_usd="0.1", tools=["search"])
    assert deepest["delegated_from"] == [below["id"], above["id"]]
    assert (deepest["models"], deepest["max_request_usd"]) == (["o1"], "0.10")
    found = {one.id: one for one in org.snapshot().keys}
    assert found[deepest["id"]].delegated_from == [below["id"], above["id"]]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"scope": {"project": "search"}}, "scope.project"),
        ({"environment": "live"}, "environment"),
        ({"models": ["gpt-4o", "claude-*"]}, "models"),
        ({"providers": ["anthropic"]}, "providers"),
        ({"tools": ["*"]}, "tools"),
        ({"max_request_usd": "0.500000001"}, "max_request_usd"),
        ({"expires_at": "2999-01-01T00:00:01Z"}, "expires_at"),
    ],
)
def test_a_delegated_key_cannot_be_more(
    org: Organization, more: dict[str, Any], field: str
) -> None:
    limits = {
        "scope": {"project": "checkout"},
        "environment": "test",
        "models": ["gpt-4o"],
        "providers": ["openai"],
        "tools": ["search"],
        "max_request_usd": "0.5",
        "expires_at": "2999-01-01T00:00:00Z",
    }
    above = org.post("/v1/keys", {"name": "agent", **limits})
    assert delegated(org, above["id"], 422, **more)["detail"].startswith(f"{field}: ")
    delegated(org, above["id"], **limits)


def test_a_subagents_key_is_below_the_agents(org: Organization) -> None:
    above = org.post("/v1/keys", {"name": "a", "scope": {"agent": "planner"}})
    org.post("/v1/agents", {"name": "searcher", "parent": "planner"})
    org.post("/v1/agents", {"name": "stranger"})
    assert delegated(org, above["id"], scope={"agent": "searcher"})["scope"] == {
        "agent": "searcher"
    }
    delegated(org, above["id"], 422, scope={"agent": "stranger"})


def test_a_delegated_key_ends_with_those_above_it(org: Organization) -> None:
    above = org.post("/v1/keys", {"name": "a"})
    below = delegated(org, above["id"])
    deepest = delegated(org, below["id"])

    def states() -> list[str]:
        found = {one.id: one.state for one in org.snapshot().keys}
        return [found[key["id"]] for key in (above, below, deepest)]

    for action, expected in (
        ("pause", ["paused"] * 3),
        ("resume", ["active"] * 3),
        ("revoke", ["revoked"] * 3),
    ):
        org.post(f"/v1/keys/{above['id']}/{action}", status=200)
        assert states() == expected
    delegated(org, above["id"], 409)
    delegated(org, "nobody", 404)
