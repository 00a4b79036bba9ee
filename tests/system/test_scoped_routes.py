"""A route of a scope: a team's own account, which nobody else's requests are paid by."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.system.conftest import System
from tests.upstream import Upstream

ASKED: Any = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "Say hello."}],
    "max_tokens": 5,
}


@pytest.fixture
def own(system: System) -> Iterator[Upstream]:
    """The account of the team `growth`, whose projects have it too."""
    upstream = Upstream("authorization", "Bearer growths-own")
    route = {
        "base_url": upstream.url,
        "kind": "openai",
        "credential": "growths-own",
        "scope": {"team": "growth"},
    }
    system.put_route("growth-openai", route)
    yield upstream
    system.ask("DELETE", "/v1/providers/growth-openai")
    upstream.stop()


def ask(system: System, key: str, route: str = "") -> str:
    options = {"max_retries": 0}
    client = system.openai(key, **options)
    if route:
        client = client.with_options(base_url=f"{system.up['sidecar_url']}/v1/{route}")
    answer = client.chat.completions.with_raw_response.create(**ASKED)
    return str(answer.headers["x-spendra-routed"])


def test_requests_of_the_scope_go_by_its_route_and_no_others(system: System, own: Upstream) -> None:
    system.ask("POST", "/v1/teams", {"name": "growth"})
    system.ask("POST", "/v1/projects", {"name": "ads", "teams": ["growth"]})
    inside = system.new_key({"project": "ads"})["key"]
    outside = system.new_key({"project": "elsewhere"})["key"]
    assert ask(system, inside) == "growth-openai"
    assert ask(system, outside) == "openai"
    assert len(own.asked) == 1
    with pytest.raises(openai.APIStatusError) as refused:
        ask(system, outside, "growth-openai")
    assert refused.value.code in {"no_provider_route", "route_unknown"}
    assert ask(system, inside, "growth-openai") == "growth-openai"
    assert len(own.asked) == 2


def test_only_what_keys_are_bound_to_can_be_named(system: System, own: Upstream) -> None:
    body = {"base_url": own.url, "kind": "openai", "scope": {"model": "gpt-4o"}}
    answer = system.admin.put("/v1/providers/growth-openai", json=body)
    assert (answer.status_code, "model" in answer.text) == (422, True)
