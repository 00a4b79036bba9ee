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
        found.provider_url = routes[0]["base_url"]
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
