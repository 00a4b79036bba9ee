"""Tokens of sidecars: whose they are, and how each gets its own."""

from typing import Any

import httpx
import pytest

from tests.answers import open_client
from tests.control_plane.running import Organization, follow, stream_envelopes


def asking(org: Organization, token: str) -> httpx.Client:
    return open_client(org.url, {"authorization": f"Bearer {token}"})


def made(org: Organization, **body: Any) -> dict[str, Any]:
    return org.post("/v1/sidecar-tokens", {"name": "east", **body})


def status(client: httpx.Client, sidecar_id: str) -> int:
    with follow(client, sidecar_id) as stream:
        return int(stream.status_code)


def test_a_token_of_one_sidecar_is_no_others(org: Organization) -> None:
    token = made(org, sidecar_id="s1")["token"]
    with asking(org, token) as client:
        with follow(client, "s1") as stream:
            assert next(stream_envelopes(stream))
        assert status(client, "s2") == 403
        said = {"sidecar_id": "s2", "version": 1, "state": "applied"}
        assert client.post("/sidecar/v1/acknowledgements", json=said).status_code == 403
        said["sidecar_id"] = "s1"
        assert client.post("/sidecar/v1/acknowledgements", json=said).status_code == 200
    assert token not in repr(org.get("/v1/sidecar-tokens"))


def test_with_the_enrolment_secret_each_gets_its_own(org: Organization) -> None:
    secret = made(org, kind="enrolment")["token"]
    with asking(org, secret) as client:
        assert status(client, "s1") == 403
        first, second = (
            client.post("/sidecar/v1/enrolments", json={"sidecar_id": name}).json()
            for name in ("s1", "s2")
        )
        assert first["snapshot_public_key"] == second["snapshot_public_key"]
        again = client.post("/sidecar/v1/enrolments", json={"sidecar_id": "s1"}).json()
    with asking(org, first["token"]) as replaced, asking(org, again["token"]) as current:
        assert (status(replaced, "s1"), status(current, "s1")) == (401, 200)
        enrolling = current.post("/sidecar/v1/enrolments", json={"sidecar_id": "s3"})
        assert enrolling.status_code == 403
    with asking(org, second["token"]) as other:
        assert status(other, "s2") == 200
    known = [one for one in org.get("/v1/sidecar-tokens")["items"] if one["sidecar_id"]]
    assert {(one["sidecar_id"], one["revoked_at"] is None) for one in known} == {
        ("s1", False),
        ("s1", True),
        ("s2", True),
    }


def test_a_revoked_token_ends_the_stream_that_it_opened(org: Organization) -> None:
    token = made(org)
    with asking(org, token["token"]) as client, follow(client, "s1") as stream:
        lines = stream.iter_lines()
        assert next(lines)
        org.post(f"/v1/sidecar-tokens/{token['id']}/revoke", status=200)
        for _ in lines:
            pass
    with asking(org, token["token"]) as client:
        assert status(client, "s1") == 401
    org.post("/v1/sidecar-tokens/tok_nobodys/revoke", status=404)


def test_a_token_may_expire(org: Organization) -> None:
    token = made(org, expires_at="2020-01-01T00:00:00Z")
    with asking(org, token["token"]) as client:
        assert status(client, "s1") == 401


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ({"kind": "enrolment", "sidecar_id": "s1"}, 422, "leave out 'sidecar_id'"),
        ({"sidecar_id": "taken"}, 409, "revoke that one first"),
    ],
)
def test_what_does_not_fit_is_refused(
    org: Organization, body: dict[str, Any], code: int, says: str
) -> None:
    made(org, sidecar_id="taken")
    answer = org.post("/v1/sidecar-tokens", {"name": "x", **body}, code)
    assert says in answer["detail"]


def test_who_enrolled_is_in_the_audit(org: Organization) -> None:
    secret = made(org, kind="enrolment")
    with asking(org, secret["token"]) as client:
        client.post("/sidecar/v1/enrolments", json={"sidecar_id": "s1"})
    found = org.get("/v1/audit?limit=1000")["items"]
    (one,) = [each for each in found if each["actor"] == "enrolment"]
    assert (one["what"], one["after"]["sidecar_id"]) == ("sidecar_tokens", "s1")
