"""What of an organization the sidecars of a token hear of."""

from dataclasses import replace
from typing import Any

import pytest

from spendra.snapshot import have
from tests.control_plane.running import Organization, Received
from tests.control_plane.test_stream import following, shard_of


def seeing(org: Organization, **asked: Any) -> Organization:
    """The organization as the sidecars of such a token know it."""
    token = org.post("/v1/sidecar-tokens", {"name": "some", **asked})["token"]
    return replace(org, sidecar_token=token)


def names(found: Received) -> set[str]:
    return {key.name for key in found.keys}


def routes(found: Received) -> dict[str, str]:
    return {route.provider: route.credential for route in found.secrets.routes}


@pytest.fixture
def teams(org: Organization) -> Organization:
    """Two teams with a project each, and a key in each project."""
    for team, project in (("payments", "checkout"), ("search", "ranking")):
        org.post("/v1/teams", {"name": team})
        org.post("/v1/projects", {"name": project, "teams": [team]})
        org.post("/v1/keys", {"name": project, "scope": {"project": project}})
    return org


def test_only_keys_of_the_scope_travel(teams: Organization) -> None:
    teams.post("/v1/keys", {"name": "unbound"})
    teams.post("/v1/keys", {"name": "dev", "scope": {"project": "checkout"}, "environment": "dev"})
    assert names(teams.snapshot()) == {"checkout", "ranking", "unbound", "dev"}
    inside = seeing(teams, scope={"team": "payments"}).snapshot()
    assert names(inside) == {"checkout", "dev"}
    assert inside.policy == teams.snapshot().policy
    several = seeing(teams, scope={"team": ["payments", "search"], "environment": "live"})
    assert names(several.snapshot()) == {"checkout", "ranking"}


def test_a_key_and_those_delegated_from_it(teams: Organization) -> None:
    above = teams.post("/v1/keys", {"name": "above"})
    teams.post("/v1/keys", {"name": "below", "delegated_from": above["id"]})
    assert names(seeing(teams, scope={"key": above["id"]}).snapshot()) == {"above", "below"}


def test_only_what_changed_of_it_travels(teams: Organization) -> None:
    with following(seeing(teams, scope={"team": "payments"})) as stream:
        assert names(stream.receive()) == {"checkout"}
        elsewhere = teams.post("/v1/keys", {"name": "e", "scope": {"project": "ranking"}})
        found = stream.receive()
        assert (found.sent, names(found)) == (set(), {"checkout"})
        own = teams.post("/v1/keys", {"name": "own", "scope": {"project": "checkout"}})
        found = stream.receive()
        assert (found.sent, names(found)) == ({shard_of(own["id"])}, {"checkout", "own"})
        teams.post(f"/v1/keys/{own['id']}/revoke", status=200)
        states = {key.name: key.state for key in stream.receive().keys}
        assert states == {"checkout": "active", "own": "revoked"}
        teams.post(f"/v1/keys/{elsewhere['id']}/revoke", status=200)
        assert stream.receive().sent == set()


def test_what_moves_comes_and_goes(teams: Organization) -> None:
    with following(seeing(teams, scope={"team": "payments"})) as stream:
        stream.receive()
        teams.ask("PATCH", "/v1/projects/ranking", {"teams": ["payments"]})
        assert names(stream.receive()) == {"checkout", "ranking"}
        teams.ask("PATCH", "/v1/projects/ranking", {"teams": ["search"]})
        assert names(stream.receive()) == {"checkout"}


def test_a_sidecar_that_comes_back_is_sent_what_it_lacks(teams: Organization) -> None:
    seen = seeing(teams, scope={"team": "payments"})
    known = seen.snapshot()
    kept = {known.manifest.segments[name]: data for name, data in known.segments.items()}
    with following(seen, have(known.manifest), kept) as stream:
        assert stream.receive().sent == set()
    key = teams.post("/v1/keys", {"name": "new", "scope": {"project": "checkout"}})
    with following(seen, have(known.manifest), kept) as stream:
        found = stream.receive()
    assert shard_of(key["id"]) in found.sent
    assert names(found) == {"checkout", "new"}


def test_credentials_travel_only_to_whom_they_are_for(teams: Organization) -> None:
    for provider, scope in (
        ("openai", {}),
        ("anthropic", {}),
        ("payments-openai", {"team": "payments"}),
        ("search-openai", {"team": "search"}),
    ):
        route = {"kind": provider.rpartition("-")[2], "base_url": "http://127.0.0.1:1"}
        body = {**route, "credential": f"of {provider}", "scope": scope}
        teams.ask("PUT", f"/v1/providers/{provider}", body)
    payments = seeing(teams, scope={"team": "payments"}).snapshot()
    assert routes(payments) == {
        name: f"of {name}" for name in ("openai", "anthropic", "payments-openai")
    }
    named = seeing(teams, providers=["*-openai"]).snapshot()
    assert set(routes(named)) == {"payments-openai", "search-openai"}
    assert names(named) == {"checkout", "ranking"}
    both = seeing(teams, scope={"team": "search"}, providers=["*openai"]).snapshot()
    assert set(routes(both)) == {"openai", "search-openai"}


def test_issuers_travel_with_the_key_that_they_stand_for(teams: Organization) -> None:
    key = teams.post("/v1/keys", {"name": "jwt", "scope": {"team": "payments"}})
    route = {"kind": "openai", "base_url": "http://127.0.0.1:1", "scope": {"team": "search"}}
    teams.ask("PUT", "/v1/providers/theirs", route)
    body = {
        "issuer": "https://login.example.com",
        "audience": "spendra",
        "jwks_url": "https://login.example.com/jwks",
        "key_id": key["id"],
        "claims": {"project": "project"},
    }
    teams.ask("PUT", "/v1/issuers/login", body)
    with_it, without = (
        seeing(teams, scope={"team": team}).snapshot() for team in ("payments", "search")
    )
    assert [one.name for one in with_it.secrets.issuers] == ["login"]
    # A claim may name any project, so that its bearer may need any route.
    assert set(routes(with_it)) == {"theirs"}
    assert without.secrets.issuers == []


def test_who_enrols_sees_what_the_secret_sees(teams: Organization) -> None:
    asked = {"kind": "enrolment", "scope": {"team": "payments"}, "providers": ["openai"]}
    with seeing(teams, **asked).as_sidecar() as client:
        enrolled = client.post("/sidecar/v1/enrolments", json={"sidecar_id": "sidecar-1"}).json()
    found = replace(teams, sidecar_token=enrolled["token"])
    with following(found) as stream:
        assert names(stream.receive()) == {"checkout"}
    (token,) = [one for one in teams.get("/v1/sidecar-tokens")["items"] if one["sidecar_id"]]
    assert (token["scope"], token["providers"]) == ({"team": ["payments"]}, ["openai"])


def test_the_fleet_shows_who_sees_what(teams: Organization) -> None:
    with following(seeing(teams, scope={"team": "payments"})) as stream:
        stream.receive()
        (shown,) = teams.get("/v1/sidecars")["items"]
    assert (shown["scope"], shown["providers"]) == ({"team": ["payments"]}, None)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"scope": {"model": "gpt-4o"}}, "model"),
        ({"scope": {"proyect": "x"}}, "did you mean 'project'?"),
        ({"providers": []}, "at least one pattern"),
    ],
)
def test_what_cannot_be_seen_by_is_refused(
    org: Organization, asked: dict[str, Any], says: str
) -> None:
    answer = org.post("/v1/sidecar-tokens", {"name": "x", **asked}, 422)
    assert says in str(answer)
