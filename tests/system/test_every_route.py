"""Every route of every provider, asked by a caller whose budget is empty.

Nothing reaches a provider except what is free; what is free is not blocked.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from spendra.providers import COMPATIBLE, PROVIDERS, Operation
from tests.system.conftest import System
from tests.system.sdks.project import project

TEXT = [{"role": "user", "content": "hi"}]
MODELS = {
    "anthropic": "claude-haiku-4-5",
    "azure": "gpt-4o-mini",
    "cohere": "command-r-08-2024",
    "deepseek": "deepseek-chat",
    "google": "gemini-2.5-flash",
    "groq": "llama-3.3-70b-versatile",
    "mistral": "mistral-small-latest",
    "openrouter": "openai/gpt-4o-mini",
    "perplexity": "sonar",
    "together": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
    "vertex": "gemini-2.5-flash",
    "xai": "grok-4",
}
"""A priced model of each provider; OpenAI's for the others."""
OTHER_MODELS = {
    ("azure", "embeddings"): "text-embedding-3-small",
    ("cohere", "cohere_embed"): "embed-v4.0",
    ("cohere", "rerank"): "rerank-v3.5",
    ("google", "embed"): "gemini-embedding-001",
    ("google", "embed_batch"): "gemini-embedding-001",
    ("mistral", "embeddings"): "mistral-embed",
    ("mistral", "ocr"): "mistral-ocr-latest",
    ("openai", "embeddings"): "text-embedding-3-small",
    ("openai", "images"): "gpt-image-1",
    ("openai", "speech"): "tts-1",
    ("openai", "transcription"): "gpt-4o-transcribe",
    ("vertex", "rawPredict"): "claude-haiku-4-5",
    ("vertex", "streamRawPredict"): "claude-haiku-4-5",
}
_GOOGLE = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
BODIES: dict[str, dict[str, Any]] = {
    "anthropic": {"max_tokens": 9, "messages": TEXT},
    "anthropic_complete": {"max_tokens_to_sample": 9, "prompt": "hi"},
    "cohere": {"messages": TEXT, "message": "hi", "prompt": "hi"},
    "google": _GOOGLE,
    "google_cache": _GOOGLE,
    "google_embed": {"content": {"parts": [{"text": "hi"}]}, "instances": [{"content": "hi"}]},
    "google_interaction": {"input": "hi"},
    "ocr": {"document": {"type": "document_url", "document_url": "https://example.com/a.pdf"}},
    "openai_completions": {"prompt": "hi"},
    "openai_embeddings": {"input": "hi", "texts": ["hi"]},
    "openai_images": {"prompt": "hi"},
    "openai_responses": {"input": "hi"},
    "openai_speech": {"input": "hi", "voice": "alloy"},
    "rerank": {"query": "hi", "documents": ["hi"]},
}
"""By how the request is read; a chat for the others."""
NAMED_BODIES: dict[str, dict[str, Any]] = {
    "embed_batch": {"requests": [{"content": {"parts": [{"text": "hi"}]}}]},
    "fim": {"prompt": "hi"},
}
"""By the operation, where others that are read alike have another body."""
PRICELESS = {
    ("azure", "speech"): "the catalog has no price by the character for Azure",
    ("cohere", "rerank"): "the catalog has no price of a search",
    ("openrouter", "rerank"): "the catalog has no price of a search",
}
"""What is refused for want of a price, whatever the budget; an operator can set a ceiling."""


class Route(NamedTuple):
    """A path of the sidecar, and the operation of the provider that it leads to."""

    path: str
    provider: str
    operation: Operation

    def __str__(self) -> str:
        return f"{self.operation.method} {self.path}"


def routes() -> Iterator[Route]:
    """Every way in: each provider's own paths, the plain ones, and chat by a provider's name."""
    for name, provider in PROVIDERS.items():
        for operation in provider.operations:
            yield Route(f"/v1/{name}{operation.path}", provider.name, operation)
            plain = operation.protocol in {None, provider.protocol}
            if plain and name in {"openai", "anthropic"}:
                yield Route(operation.path, name, operation)
            if operation.name == "chat":
                path = f"/v1/providers/{name}/chat/completions"
                yield Route(path, provider.name, operation)


ROUTES = list(dict.fromkeys(route for route in routes() if route.provider != COMPATIBLE))
PAID = [
    route
    for route in ROUTES
    if route.operation.treatment == "metered"
    and (route.provider, route.operation.name) not in PRICELESS
]


@pytest.fixture(scope="module")
def poor(system: System) -> Iterator[httpx.Client]:
    """A caller who may spend nothing."""
    scope = {"project": "empty"}
    system.new_budget(scope, "0.000000001")
    key = system.new_key(scope)["key"]
    headers = {"x-spendra-key": key}
    with httpx.Client(base_url=system.up["sidecar_url"], headers=headers, timeout=30) as client:
        yield client


def filled(path: str, model: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: model if found[1] == "model" else "x1", path)


def model_of(name: str, operation: Operation) -> str:
    return OTHER_MODELS.get((name, operation.name)) or MODELS.get(name, "gpt-4o-mini")


def ask(client: httpx.Client, route: Route, file_id: str = "") -> httpx.Response:
    name, operation = route.provider, route.operation
    model = model_of(name, operation)
    path, headers = filled(route.path, model), {}
    if name == "anthropic":
        headers["anthropic-version"] = "2023-06-01"
    if operation.method != "POST":
        return client.request(operation.method, path, headers=headers)
    if operation.form:
        files = {"file": ("a.jsonl", batch_line(model))}
        return client.post(path, data={"model": model}, files=files, headers=headers)
    fields = NAMED_BODIES.get(operation.name) or BODIES.get(operation.body, {"messages": TEXT})
    body = {"model": model, **fields}
    if operation.treatment == "batch":
        body = batch(name, model, file_id)
    return client.post(path, json=body, headers=headers)


def batch_line(model: str) -> str:
    body = {"model": model, "messages": TEXT, "max_tokens": 9}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(line)


def batch(name: str, model: str, file_id: str) -> dict[str, Any]:
    if name == "anthropic":
        params = {"model": model, "max_tokens": 9, "messages": TEXT}
        return {"requests": [{"custom_id": "a", "params": params}]}
    endpoint = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
    return {"input_file_id": file_id, **endpoint}


def uploaded(client: httpx.Client, name: str) -> str:
    """A file is free to upload where the provider has files."""
    files = {"file": ("a.jsonl", batch_line(MODELS.get(name, "gpt-4o-mini")))}
    answer = client.post(f"/v1/{name}/files", data={"purpose": "batch"}, files=files)
    return str(answer.json().get("id", "")) if answer.is_success else ""


def arrived(system: System, count: int) -> list[dict[str, Any]]:
    """What has reached the provider since it had seen so many."""
    seen = system.provider()
    late = int(seen["total"]) - count
    found: list[dict[str, Any]] = seen["requests"][-late:] if late else []
    return found


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_nothing_that_costs_leaves_for_an_empty_budget(
    system: System, poor: httpx.Client, route: Route
) -> None:
    treatment = route.operation.treatment
    file_id = uploaded(poor, route.provider) if treatment == "batch" else ""
    before = int(system.provider()["total"])
    answer = ask(poor, route, file_id)
    reached = arrived(system, before)
    if treatment == "batch":
        # What it asks is in a file, which is free to read.
        reached = [one for one in reached if not one["path"].endswith("/content")]
    if treatment in {"free", "later"}:
        assert len(reached) == 1, answer.text[:500]
        assert answer.status_code != 402
    else:
        assert answer.status_code == refusal(route), answer.text[:500]
        assert reached == []


def refusal(route: Route) -> int:
    """402, except for what is refused before its budget is looked at."""
    return 403 if (route.provider, route.operation.name) in PRICELESS else 402


@pytest.mark.parametrize("route", PAID, ids=str)
def test_one_request_settles_once_on_every_route(system: System, route: Route) -> None:
    at = project(system, limit_usd="50")
    headers = {"x-spendra-key": at.key}
    with httpx.Client(base_url=system.up["sidecar_url"], headers=headers, timeout=30) as client:
        answer = ask(client, route)
    assert answer.status_code == 200, answer.text[:500]
    item = at.one_item()
    assert (item["state"], item["cost_nanousd"] > 0) == ("posted", True), item
    if route.operation.name == "chat":
        assert item["usage_confidence"] == "reported", item


PROBES = [
    *("/v1/fine_tuning/jobs", "/v1/videos", "/v1/realtime/sessions", "/v1/vector_stores"),
    *("/v1/assistants", "/v1/chat", "/chat/completions", "/v1", "/", "/v2/chat"),
    *("/v1/anthropic/v1/skills", "/v1/google/v1beta/models/x:predictLongRunning"),
    *("/v1/vertex/v1/projects/p/locations/l/endpoints/1:predict", "/v1/azure/openai/assistants"),
    *("/v1/nobody/v1/messages", "/v1/providers/nobody/embeddings", "/v1/providers/openai/files"),
    *("/v1/chat/completions/", "/V1/chat/completions", "/v1/cohere/v1/datasets"),
]
DISGUISES = [
    *("/v1/openai/../../v1/chat/completions", "/v1//chat/completions", "/v1/chat%2Fcompletions"),
    *("/v1/files/../chat/completions", "/v1/models/%2e%2e/chat/completions"),
    *("/v1/files/..%2fchat%2fcompletions", "/v1/models/x/../../chat/completions"),
]
"""A metered path, written so that it may be taken for another."""


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("path", PROBES)
def test_an_unknown_route_is_refused(
    system: System, poor: httpx.Client, method: str, path: str
) -> None:
    before = int(system.provider()["total"])
    answer = ask_raw(poor, method, path)
    assert answer.status_code in {404, 405}, answer.text[:300]
    assert arrived(system, before) == []


@pytest.mark.parametrize("path", DISGUISES)
def test_a_metered_path_in_disguise_does_not_pass_as_free(
    system: System, poor: httpx.Client, path: str
) -> None:
    before = int(system.provider()["total"])
    answer = ask_raw(poor, "POST", path)
    assert answer.status_code in {402, 403, 404, 405}, answer.text[:300]
    assert arrived(system, before) == []


def ask_raw(client: httpx.Client, method: str, path: str) -> httpx.Response:
    """The path as it is written: the library would tidy it up."""
    request = client.build_request(method, "/", json={"model": "gpt-4o-mini", "messages": TEXT})
    request.url = request.url.copy_with(raw_path=path.encode())
    return client.send(request)
