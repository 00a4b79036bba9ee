"""Providers are asked whether they take a credential, which nobody is shown."""

from collections.abc import Iterator

import pytest

from tests.control_plane.running import Organization
from tests.servers import free_port
from tests.upstream import Upstream


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    running = Upstream("authorization", "Bearer good")
    yield running
    running.stop()


@pytest.mark.parametrize(("credential", "outcome"), [("good", "works"), ("bad", "refused")])
def test_a_credential_is_tried(
    org: Organization, upstream: Upstream, credential: str, outcome: str
) -> None:
    route = {"base_url": upstream.url, "kind": "openai", "credential": credential}
    org.ask("PUT", "/v1/providers/tried", route)
    found = org.post("/v1/providers/tried/test", status=200)
    assert (found["outcome"], found["status"]) == (outcome, 200 if outcome == "works" else 401)
    assert upstream.asked == [("/v1/models", f"Bearer {credential}")]
    assert f"Bearer {credential}" not in repr(found)


def test_each_provider_is_asked_in_its_own_way(org: Organization) -> None:
    upstream = Upstream("x-api-key", "good")
    try:
        route = {"base_url": upstream.url, "kind": "anthropic", "credential": "good"}
        org.ask("PUT", "/v1/providers/claude", route)
        assert org.post("/v1/providers/claude/test", status=200)["outcome"] == "works"
    finally:
        upstream.stop()


def test_what_cannot_be_tried_says_why(org: Organization) -> None:
    away = {"base_url": f"http://127.0.0.1:{free_port()}", "kind": "openai", "credential": "x"}
    org.ask("PUT", "/v1/providers/away", away)
    assert org.post("/v1/providers/away/test", status=200)["outcome"] == "unreachable"
    org.ask("PUT", "/v1/providers/filed", {"kind": "openai", "credential_file": "openai"})
    found = org.post("/v1/providers/filed/test", status=200)
    assert (found["outcome"], "file" in found["detail"]) == ("untested", True)
    org.post("/v1/providers/none/test", status=404)


def test_a_route_has_one_credential_at_a_time(org: Organization) -> None:
    both = {"kind": "openai", "credential": "x", "credential_file": "openai"}
    assert "not both" in org.ask("PUT", "/v1/providers/r", both, 422)["detail"]
    named = org.ask("PUT", "/v1/providers/r", {"kind": "openai", "credential_file": "openai"})
    assert (named["credential_file"], named["has_credential"]) == ("openai", True)
    kept = org.ask("PUT", "/v1/providers/r", {"kind": "openai", "models": ["gpt-*"]})
    assert kept["credential_file"] == "openai"
    assert org.snapshot().secrets.routes[0].credential_file == "openai"
    given = org.ask("PUT", "/v1/providers/r", {"kind": "openai", "credential": "sk"})
    assert (given["credential_file"], given["has_credential"]) == (None, True)
    for name in ("../etc/passwd", ".hidden", "a/b", ""):
        org.ask("PUT", "/v1/providers/r", {"kind": "openai", "credential_file": name}, 422)
