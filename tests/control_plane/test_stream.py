"""The snapshot stream: pushed, verified, thrifty, and known to operators."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from redis import Redis

from spendra._hot import shard_of_key
from spendra.balances import min_version_key
from spendra.snapshot import Envelope, from_text, have, keys_name
from tests.control_plane.running import (
    ControlPlane,
    Organization,
    Received,
    floor,
    follow,
    stream_envelopes,
)
from tests.servers import Server


class Follower:
    """A sidecar that keeps the segments of the snapshot in force."""

    def __init__(
        self,
        org: Organization,
        client: httpx.Client,
        envelopes: Iterator[Envelope],
        known: dict[str, bytes],
    ) -> None:
        self._org, self._client, self._envelopes = org, client, envelopes
        self._known = known

    def receive(self) -> Received:
        found = self._org.open(next(self._envelopes), self._known)
        digests = found.manifest.segments
        self._known = {digests[name]: data for name, data in found.segments.items()}
        return found

    def acknowledge(self, version: int, state: str, error: str | None = None) -> None:
        body = {"sidecar_id": "sidecar-1", "version": version, "state": state, "error": error}
        answer = self._client.post("/sidecar/v1/acknowledgements", json=body)
        assert answer.json() == {"sidecar_id": "sidecar-1", "version": version}


@contextmanager
def following(
    org: Organization, said: str = "", known: dict[str, bytes] | None = None
) -> Iterator[Follower]:
    with org.as_sidecar() as client, follow(client, have=said) as stream:
        yield Follower(org, client, stream_envelopes(stream), known or {})


def shard_of(key_id: str) -> str:
    """The segment that a key is in."""
    return keys_name(shard_of_key(key_id))


def sidecar(org: Organization) -> dict[str, Any]:
    found: dict[str, Any] = org.get("/v1/sidecars")["items"][0]
    return found


def test_the_current_snapshot_comes_at_once_and_each_change_after_it(org: Organization) -> None:
    with following(org) as stream:
        first = stream.receive()
        assert (first.manifest.version, first.sent) == (1, {"policy", "prices", "secrets"})
        key = org.post("/v1/keys", {"name": "k"})
        second = stream.receive()
        assert (second.manifest.version, second.sent) == (2, {shard_of(key["id"])})
        assert [one.id for one in second.keys] == [key["id"]]
        org.ask("PUT", "/v1/providers/openai", {"base_url": "http://127.0.0.1:1"})
        assert stream.receive().sent == {"secrets"}
        budget = {"name": "b", "period": "day", "limit_usd": 1, "kind": "soft"}
        org.post("/v1/budgets", budget)
        assert stream.receive().sent == {"policy"}


def test_what_a_sidecar_has_does_not_travel(org: Organization) -> None:
    other, key = (org.post("/v1/keys", {"name": "k"}) for _ in range(2))
    known = org.snapshot()
    segments = {known.manifest.segments[name]: data for name, data in known.segments.items()}
    org.post(f"/v1/keys/{key['id']}/revoke", status=200)
    with following(org, have(known.manifest), segments) as stream:
        found = stream.receive()
    assert found.sent == {shard_of(key["id"])}
    assert {one.id: one.state for one in found.keys} == {
        other["id"]: "active",
        key["id"]: "revoked",
    }


@pytest.mark.parametrize("said", ["9:" + "0" * 64, "1:" + "0" * 64, "1", "nonsense", "²:"])
def test_to_a_sidecar_whose_snapshot_is_not_known_everything_travels(
    org: Organization, said: str
) -> None:
    with following(org, said) as stream:
        assert stream.receive().sent == {"policy", "prices", "secrets"}


def test_a_scope_that_closes_travels_in_each_shard_of_keys(org: Organization) -> None:
    project = {"scope": {"project": "p"}}
    keys = [org.post("/v1/keys", {"name": "k", **project}) for _ in range(3)]
    with following(org) as stream:
        stream.receive()
        org.ask("PATCH", "/v1/projects/p", {"state": "archived"})
        found = stream.receive()
    assert found.sent == {shard_of(key["id"]) for key in keys}
    assert {one.state for one in found.keys} == {"paused"}


def test_a_segment_that_comes_back_travels_again(org: Organization) -> None:
    key_id = org.post("/v1/keys", {"name": "k"})["id"]
    with following(org) as stream:
        stream.receive()
        org.post(f"/v1/keys/{key_id}/pause", status=200)
        assert stream.receive().sent == {shard_of(key_id)}
        org.post(f"/v1/keys/{key_id}/resume", status=200)
        again = stream.receive()
        assert (again.sent, again.keys[0].state) == ({shard_of(key_id)}, "active")


def test_after_a_refusal_everything_travels(org: Organization) -> None:
    with following(org) as stream:
        stream.acknowledge(stream.receive().manifest.version, "refused", "no room")
        key_id = org.post("/v1/keys", {"name": "k"})["id"]
        assert stream.receive().sent == {shard_of(key_id), "policy", "prices", "secrets"}


def test_an_idle_stream_is_kept_alive(org: Organization) -> None:
    with org.as_sidecar() as client, follow(client) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = (line for line in stream.iter_lines() if line)
        start = [next(lines) for _ in range(4)]
    assert [line.partition(":")[0] for line in start] == ["event", "id", "data", ""]
    assert (start[0], start[1], start[3]) == ("event: snapshot", "id: 1", ": keepalive")


def test_secrets_travel_sealed(org: Organization) -> None:
    credential = "sk-very-secret"
    body = {"base_url": "http://127.0.0.1:1", "credential": credential}
    org.ask("PUT", "/v1/providers/openai", body)
    snapshot = org.snapshot()
    with org.as_sidecar() as client, follow(client) as stream:
        envelope = next(stream_envelopes(stream))
    sealed = from_text(envelope.segments[snapshot.manifest.segments["secrets"]])
    assert credential.encode() not in sealed
    assert snapshot.secrets.key_pepper.encode() not in sealed


@pytest.mark.parametrize("action", ["revoke", "pause", "rotate"])
def test_taking_a_key_away_raises_the_floor(org: Organization, valkey: Server, action: str) -> None:
    key_id = org.post("/v1/keys", {"name": "k"})["id"]
    assert floor(valkey, org.id) == 0
    org.post(f"/v1/keys/{key_id}/{action}", status=200)
    assert floor(valkey, org.id) == org.snapshot().manifest.version == 3


def test_lowering_a_limit_raises_the_floor_and_raising_it_does_not(
    org: Organization, valkey: Server
) -> None:
    body = {"name": "b", "period": "day", "limit_usd": 5, "kind": "hard"}
    path = f"/v1/budgets/{org.post('/v1/budgets', body)['id']}"
    assert floor(valkey, org.id) == 2
    org.ask("PATCH", path, {"limit_usd": 9})
    assert floor(valkey, org.id) == 2
    org.ask("PATCH", path, {"limit_usd": 8})
    assert floor(valkey, org.id) == 4
    org.ask("PATCH", path, {"kind": "soft"})
    assert floor(valkey, org.id) == 4
    org.ask("PATCH", path, {"kind": "hard"})
    assert floor(valkey, org.id) == 6


def test_each_change_of_a_policy_raises_the_floor(org: Organization, valkey: Server) -> None:
    body = {"name": "p", "rules": {"max_output_tokens": 10}}
    path = f"/v1/policies/{org.post('/v1/policies', body)['id']}"
    assert floor(valkey, org.id) == 2
    org.ask("PATCH", path, {"name": "q"})
    assert floor(valkey, org.id) == 3
    org.ask("DELETE", path)
    assert floor(valkey, org.id) == 4


def test_no_request_goes_by_a_route_as_it_was(org: Organization, valkey: Server) -> None:
    route, path = {"base_url": "http://127.0.0.1:1"}, "/v1/providers/openai"
    org.ask("PUT", path, route)
    assert floor(valkey, org.id) == 0
    org.ask("PUT", path, {**route, "models": ["gpt-4o-mini"]})
    assert floor(valkey, org.id) == 3


def test_the_floor_is_never_lowered(org: Organization, valkey: Server) -> None:
    with Redis.from_url(valkey.url) as client:
        client.set(min_version_key(org.id), 1000)
    org.post("/v1/policies", {"name": "p", "rules": {"max_output_tokens": 10}})
    assert floor(valkey, org.id) == 1000


def test_operators_see_what_each_sidecar_obeys(org: Organization) -> None:
    with following(org) as stream:
        version = stream.receive().manifest.version
        assert (sidecar(org)["id"], sidecar(org)["state"]) == ("sidecar-1", "behind")
        stream.acknowledge(version, "applied")
        seen = sidecar(org)
        assert (seen["snapshot_version"], seen["state"]) == (version, "current")
        assert 0 <= seen["age_s"] < 60
        org.post("/v1/keys", {"name": "k"})
        assert sidecar(org)["state"] == "behind"
    assert _state_within(org, "disconnected", seconds=15) == "disconnected"


def test_a_refused_snapshot_is_shown_and_counted_until_a_later_one_is_applied(
    org: Organization,
) -> None:
    with following(org) as stream:
        stream.acknowledge(stream.receive().manifest.version, "applied")
        org.post("/v1/keys", {"name": "k"})
        version = stream.receive().manifest.version
        for _ in range(2):
            stream.acknowledge(version, "refused", "bad signature")
        stream.acknowledge(version - 1, "applied")
        seen = sidecar(org)
        assert (seen["state"], seen["snapshot_version"]) == ("refused", version - 1)
        assert (seen["error"], seen["refused_count"]) == ("bad signature", 1)
        stream.acknowledge(version, "applied")
        assert (sidecar(org)["state"], sidecar(org)["error"]) == ("current", None)


def test_a_second_stream_of_one_sidecar_outlives_the_first(org: Organization) -> None:
    with following(org) as first:
        first.receive()
        with following(org) as second:
            version = second.receive().manifest.version
            second.acknowledge(version, "applied")
    with following(org) as third:
        third.receive()
        assert sidecar(org)["state"] == "current"


@pytest.mark.parametrize(
    "body", [{}, {"sidecar_id": "s", "version": "1", "state": "applied"}, {"surprise": 1}]
)
def test_a_wrong_acknowledgement_is_refused(org: Organization, body: dict[str, Any]) -> None:
    with org.as_sidecar() as client:
        answer = client.post("/sidecar/v1/acknowledgements", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("Not an acknowledgement")


def test_a_stream_needs_a_sidecar_id(org: Organization) -> None:
    with org.as_sidecar() as client:
        assert client.get("/sidecar/v1/snapshots").status_code == 422


def test_hundreds_of_sidecars_leave_room_for_operators(org: Organization) -> None:
    with ExitStack() as open_streams:
        limits = httpx.Limits(max_connections=None)
        headers = {"authorization": f"Bearer {org.sidecar_token}"}
        client = open_streams.enter_context(
            httpx.Client(base_url=org.url, headers=headers, timeout=10, limits=limits)
        )
        envelopes = [
            stream_envelopes(open_streams.enter_context(follow(client, f"sidecar-{n}")))
            for n in range(300)
        ]
        versions = {org.open(next(one), {}).manifest.version for one in envelopes}
        key = org.post("/v1/keys", {"name": "k"})
        new = org.snapshot().manifest.segments[shard_of(key["id"])]
        assert all(next(one).segments.keys() == {new} for one in envelopes)
    assert versions == {1}


def test_open_streams_are_counted(control_plane: ControlPlane, org: Organization) -> None:
    with following(org) as stream:
        stream.receive()
        text = httpx.get(f"{control_plane.url}/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(lines["spendra_control_plane_snapshot_streams"]) >= 1


def _state_within(org: Organization, wanted: str, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and sidecar(org)["state"] != wanted:
        time.sleep(0.05)
    return str(sidecar(org)["state"])
