"""Every provider's own API, each under its own path, reserved, metered and settled."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import free_port
from tests.system.conftest import System, start, started, stop

ASK = [{"role": "user", "content": "Say hello"}]
CHAT = {"model": "gpt-4o-mini", "messages": ASK, "max_tokens": 50}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "Say hello"}]}]}
VERTEX = "/v1/vertex/v1beta1/projects/p/locations/l/publishers"
METERED: list[tuple[str, dict[str, Any], str]] = [
    ("/v1/chat/completions", CHAT, "openai"),
    ("/v1/openai/chat/completions", CHAT, "openai"),
    ("/v1/openai/v1/chat/completions", CHAT, "openai"),
    ("/v1/responses", {"model": "gpt-4o-mini", "input": "Say hello"}, "openai"),
    ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "hello"}, "openai"),
    ("/v1/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "Say"}, "openai"),
    (
        "/v1/messages",
        {"model": "claude-sonnet-4-5", "max_tokens": 50, "messages": ASK},
        "anthropic",
    ),
    (
        "/v1/anthropic/v1/messages",
        {"model": "claude-sonnet-4-5", "max_tokens": 50, "messages": ASK},
        "anthropic",
    ),
    ("/v1/google/v1beta/models/gemini-2.5-flash:generateContent", GEMINI, "google"),
    ("/v1/google/v1beta/models/gemini-2.5-flash:streamGenerateContent", GEMINI, "google"),
    ("/v1/google/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", GEMINI, "google"),
    (f"{VERTEX}/google/models/gemini-2.5-flash:generateContent", GEMINI, "vertex"),
    (
        f"{VERTEX}/anthropic/models/claude-haiku-4-5@20251001:rawPredict",
        {"anthropic_version": "vertex-2023-10-16", "max_tokens": 50, "messages": ASK},
        "vertex",
    ),
    ("/v1/azure/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21", CHAT, "azure"),
    ("/v1/azure/openai/v1/chat/completions", CHAT, "azure"),
    ("/v1/openrouter/chat/completions", {**CHAT, "model": "openai/gpt-4o-mini"}, "openrouter"),
    ("/v1/mistral/v1/chat/completions", {**CHAT, "model": "mistral-small-latest"}, "mistral"),
    ("/v1/mistral/v1/fim/completions", {"model": "codestral-2508", "prompt": "def f("}, "mistral"),
    ("/v1/mistral/v1/embeddings", {"model": "mistral-embed", "input": ["hello"]}, "mistral"),
    ("/v1/cohere/v2/chat", {"model": "command-r", "messages": ASK}, "cohere"),
    ("/v1/cohere/v1/chat", {"model": "command-r", "message": "Say hello"}, "cohere"),
    ("/v1/providers/openai/chat/completions", CHAT, "openai"),
    ("/v1/providers/openrouter/chat/completions", {**CHAT, "model": "openai/gpt-4o"}, "openrouter"),
    ("/v1/providers/gemini/chat/completions", {**CHAT, "model": "gemini-2.5-flash"}, "google"),
    (
        "/v1/providers/vertex/chat/completions",
        {**CHAT, "model": "google/gemini-2.5-flash"},
        "vertex",
    ),
    ("/v1/providers/azure/chat/completions", CHAT, "azure"),
    (
        "/v1/providers/anthropic/chat/completions",
        {**CHAT, "model": "claude-haiku-4-5"},
        "anthropic",
    ),
]


@contextlib.contextmanager
def running() -> Iterator[System]:
    """A product that nobody told of a provider: the simulated one answers for all of them."""
    with tempfile.TemporaryDirectory(prefix="spendra-routes-") as directory:
        ports = ["--sidecar-port", str(free_port()), "--control-plane-port", str(free_port())]
        process = start(Path(directory), *ports)
        found = started(process, Path(directory), "")
        routes = found.ask("GET", "/v1/providers")["items"]
        found.provider_url = routes[0]["base_url"].rpartition("/")[0]
        yield found
        assert stop(found) == 0


@pytest.fixture(scope="module")
def everything() -> Iterator[System]:
    with running() as found:
        yield found


def post(system: System, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    known = {"authorization": f"Bearer {system.up['api_key']}", **headers}
    return httpx.post(f"{system.up['sidecar_url']}{path}", json=body, headers=known, timeout=30)


@pytest.mark.parametrize(("path", "body", "provider"), METERED, ids=[each[0] for each in METERED])
def test_what_is_metered_is_settled_by_what_was_reported(
    everything: System, path: str, body: dict[str, Any], provider: str
) -> None:
    answer = post(everything, path, body)
    assert answer.status_code == 200, answer.text
    decision = everything.ended(answer.headers["x-spendra-decision-id"])
    assert (decision["state"], decision["provider"]) == ("posted", provider)
    assert decision["usage_confidence"] == "reported", decision
    assert 0 < decision["cost_nanousd"] <= decision["reserved_nanousd"]
    assert decision["usage"]["input_tokens"] > 0


FREE = [
    ("GET", "/v1/openai/models"),
    ("GET", "/v1/openai/files"),
    ("GET", "/v1/models"),
    ("GET", "/v1/anthropic/v1/models"),
    ("GET", "/v1/google/v1beta/models"),
    ("GET", "/v1/openrouter/models"),
]
BROKE = [
    ("/v1/chat/completions", CHAT, ("error", "code"), "budget_exhausted"),
    (
        "/v1/messages",
        {"model": "claude-sonnet-4-5", "max_tokens": 50, "messages": ASK},
        ("error", "type"),
        "billing_error",
    ),
    (
        "/v1/google/v1beta/models/gemini-2.5-flash:generateContent",
        GEMINI,
        ("error", "status"),
        "RESOURCE_EXHAUSTED",
    ),
    (
        "/v1/mistral/v1/chat/completions",
        {**CHAT, "model": "mistral-small-latest"},
        ("code",),
        "budget_exhausted",
    ),
]


def broke(system: System) -> dict[str, str]:
    """A key whose budget is empty."""
    project = f"broke-{free_port()}"
    system.new_budget({"project": project}, "0")
    key = system.new_key({"project": project})["key"]
    return {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize(("method", "path"), FREE)
def test_what_is_free_needs_a_key_and_no_budget(everything: System, method: str, path: str) -> None:
    url = f"{everything.up['sidecar_url']}{path}"
    headers = {**broke(everything), "anthropic-version": "2023-06-01"}
    assert httpx.request(method, url, headers=headers).status_code == 200
    assert httpx.request(method, url).status_code == 401


@pytest.mark.parametrize(("path", "body", "where", "said"), BROKE, ids=[b[0] for b in BROKE])
def test_a_refusal_is_an_error_of_the_callers_protocol(
    everything: System, path: str, body: dict[str, Any], where: tuple[str, ...], said: str
) -> None:
    reached = everything.provider()["total"]
    answer = post(everything, path, body, **broke(everything))
    assert answer.status_code == 402
    found = answer.json()
    for name in where:
        found = found[name]
    assert found == said
    assert everything.provider()["total"] == reached


def test_googles_refusal_of_a_plain_stream_is_in_an_array(everything: System) -> None:
    path = "/v1/google/v1beta/models/gemini-2.5-flash:streamGenerateContent"
    assert post(everything, path, GEMINI, **broke(everything)).json()[0]["error"]["code"] == 402
    answer = post(everything, f"{path}?alt=sse", GEMINI, **broke(everything))
    assert answer.json()["error"]["code"] == 402


def test_a_key_in_the_query_does_not_reach_the_provider(everything: System) -> None:
    key = everything.up["api_key"]
    url = f"{everything.up['sidecar_url']}/v1/google/v1beta/models/gemini-2.5-flash"
    answer = httpx.post(f"{url}:generateContent?key={key}&alt=json", json=GEMINI)
    assert answer.status_code == 200, answer.text


def test_lists_of_models_show_what_the_key_may_use(everything: System) -> None:
    key = everything.new_key(models=["gpt-4o-mini"])["key"]
    url = f"{everything.up['sidecar_url']}/v1/models"
    listed = httpx.get(url, headers={"authorization": f"Bearer {key}"}).json()["data"]
    assert {model["id"] for model in listed} == {"gpt-4o-mini"}


def test_what_is_not_known_passes_at_an_operators_ceiling_only(everything: System) -> None:
    refused = post(everything, "/v1/openai/vector_stores/x/search", {"query": "a"})
    assert refused.status_code == 404
    assert "unmetered_ceiling_usd" in refused.json()["error"]["message"]
    route = {"base_url": everything.provider_url, "kind": "openai", "credential": "sk-x"}
    ceiling = {"unmetered_ceiling_usd": {"/v1/other*": "0.25"}, "models": ["none"]}
    everything.put_route("lenient", route | ceiling)
    answer = post(everything, "/v1/lenient/v1/other/things", {"a": 1})
    decision = everything.ended(answer.headers["x-spendra-decision-id"])
    # The simulated provider does not know the path either: its error costs nothing.
    assert (answer.status_code, decision["reserved_nanousd"]) == (404, 250_000_000)
    assert (decision["state"], decision["cost_nanousd"]) == ("posted", 0)


def test_a_route_that_cannot_be_reached_falls_back(everything: System) -> None:
    closed = f"http://127.0.0.1:{free_port()}"
    away = {"base_url": closed, "kind": "openai", "credential": "sk-x", "models": ["none", "gpt-*"]}
    spare = [{"route": "azure", "model": "gpt-4o"}]
    everything.put_route("away", away | {"fallbacks": spare})
    answer = post(everything, "/v1/away/chat/completions", CHAT)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-spendra-routed"] == "azure"
    decision = everything.ended(answer.headers["x-spendra-decision-id"])
    attempts = decision["attempts"]
    assert [(a["provider"], a["state"]) for a in attempts] == [
        ("openai", "voided"),
        ("azure", "posted"),
    ]
    assert attempts[1]["model"].startswith("gpt-4o")
    skipped = post(everything, "/v1/away/chat/completions", CHAT, **{"x-spendra-route": "skip"})
    assert skipped.json()["error"]["code"] == "upstream_unreachable"


def test_a_dearer_fallback_that_does_not_fit_is_refused(everything: System) -> None:
    closed = f"http://127.0.0.1:{free_port()}"
    away = {"base_url": closed, "kind": "openai", "credential": "sk-x", "models": ["gpt-*"]}
    spare = [{"route": "openai", "model": "gpt-4"}]
    everything.put_route("cheap", away | {"fallbacks": spare})
    budget = everything.new_budget({"project": "tight"}, "0.001")
    key = everything.new_key({"project": "tight"})["key"]
    reached = everything.provider()["total"]
    answer = post(everything, "/v1/cheap/chat/completions", CHAT, authorization=f"Bearer {key}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "budget_exhausted")
    assert everything.provider()["total"] == reached
    assert everything.drained(budget["id"])["settled_nanousd"] == 0


def test_an_answer_in_the_background_is_settled_once_when_it_is_seen(everything: System) -> None:
    ask = {"model": "gpt-4o-mini", "input": "Say hello", "background": True}
    answer = post(everything, "/v1/responses", ask)
    assert answer.json()["status"] in ("queued", "in_progress"), answer.text
    decision_id = answer.headers["x-spendra-decision-id"]
    assert everything.decision(decision_id)["state"] == "reserved"
    url = f"{everything.up['sidecar_url']}/v1/responses/{answer.json()['id']}"
    known = {"authorization": f"Bearer {everything.up['api_key']}"}
    for _ in range(3):
        httpx.get(url, headers=known).raise_for_status()
    decision = everything.ended(decision_id)
    assert (decision["usage_confidence"], decision["state"]) == ("reported", "posted")
    assert len(decision["attempts"]) == 1


def watched(system: System, limit_usd: str) -> tuple[dict[str, str], str]:
    """A key whose streams are watched, fifty tokens at a time, and its budget."""
    project = f"watched-{free_port()}"
    rules = {"unlimited_output": "watch", "default_output_tokens": 50}
    policy = {"name": "watched", "scope": {"project": project}, "rules": rules}
    system.ask("POST", "/v1/policies", policy)
    budget = system.new_budget({"project": project}, limit_usd)
    key = system.new_key({"project": project})["key"]
    return {"authorization": f"Bearer {key}", "x-simulate": "tokens=400"}, budget["id"]


UNLIMITED = {"model": "gpt-4o-mini", "messages": ASK, "stream": True}


def test_a_watched_stream_holds_more_as_it_goes_on(everything: System) -> None:
    headers, budget = watched(everything, "1")
    answer = post(everything, "/v1/chat/completions", UNLIMITED, **headers)
    assert answer.text.rstrip().endswith("data: [DONE]")
    decision = everything.ended(answer.headers["x-spendra-decision-id"])
    assert (decision["usage"]["output_tokens"], decision["usage_confidence"]) == (400, "reported")
    first = post(everything, "/v1/chat/completions", {**UNLIMITED, "stream": False}, **headers)
    capped = everything.ended(first.headers["x-spendra-decision-id"])
    assert capped["usage"]["output_tokens"] == 50, "what is no stream gets its cap"
    assert decision["reserved_nanousd"] > 2 * capped["reserved_nanousd"]
    assert decision["overrun_nanousd"] == 0
    assert everything.drained(budget)["settled_nanousd"] > 0


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/v1/chat/completions", UNLIMITED, b'data: {"error":'),
        (
            "/v1/responses",
            {"model": "gpt-4o-mini", "input": "Say hello", "stream": True},
            b"event: response.failed",
        ),
        (
            "/v1/google/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
            GEMINI,
            b"RESOURCE_EXHAUSTED",
        ),
    ],
)
def test_a_watched_stream_ends_with_an_error_where_the_budget_does(
    everything: System, path: str, body: dict[str, Any], said: bytes
) -> None:
    headers, budget = watched(everything, "0.002")
    slow = {**headers, "x-simulate": "tokens=3000,chunk-ms=1"}
    answer = post(everything, path, body, **slow)
    assert answer.status_code == 200, answer.text
    assert said in answer.content
    decision = everything.ended(answer.headers["x-spendra-decision-id"])
    # Gemini says with each piece what was used so far; for the others what came is counted.
    assert decision["usage_confidence"] in ("counted", "estimated", "reported")
    assert 0 < decision["usage"]["output_tokens"] < 3000
    spent = everything.drained(budget)
    assert spent["settled_nanousd"] <= spent["limit_nanousd"]
