"""The cases, and the request that each answer is asked with."""

import json
import re
from typing import Any, NamedTuple

from tests.system.conftest import CORPUS

INDEX = CORPUS / "index.jsonl"
Case = dict[str, Any]

CASES: list[Case] = [
    json.loads(line) for line in (INDEX.read_text().splitlines() if INDEX.exists() else ())
]
"""The recorded traffic is not part of the repository: no cases where it is not at hand."""

_NATIVE = {"gemini": "google"}
"""The route of a provider that the sidecar knows by another name."""
_PLAIN = {"openai", "anthropic"}
"""Their routes need no provider in the path."""
_PATHS = {
    "chat": "/v1/chat/completions",
    "embeddings": "/v1/embeddings",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}
"""Where the recording has lost its path."""
NAMED_ROUTES = ("cerebras", "together", "zai")
"""Providers with OpenAI's API that the table does not name."""
_HI = [{"role": "user", "content": "hi"}]
_FORM = "spendra-test-form"


class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def asked(case: Case) -> Asked:
    """The recorded request where it is known, else one that would get such an answer."""
    headers = {"content-type": "application/json"}
    if case["provider"] == "anthropic":
        headers["anthropic-version"] = "2023-06-01"
    if case["method"] != "POST":
        return Asked(case["method"], path_of(case), headers, b"")
    path = CORPUS / f"{case['id']}.request.json"
    if path.exists():
        return Asked("POST", path_of(case), headers, path.read_bytes())
    if case["api"] in {"files", "audio", "images"}:
        headers["content-type"] = f"multipart/form-data; boundary={_FORM}"
        return Asked("POST", path_of(case), headers, _form(case))
    return Asked("POST", path_of(case), headers, json.dumps(_made_up(case)).encode())


def body_of(case: Case) -> bytes:
    """The answer as it was received."""
    return (CORPUS / f"{case['id']}.body").read_bytes()


def deployments() -> dict[str, str]:
    """Azure's deployments in the recorded paths, to a model that may stand behind each."""
    paths = [re.search(r"/deployments/([^/]+)/(\w+)", case["url_path"] or "") for case in CASES]
    return {
        found[1]: "text-embedding-3-small" if found[2] == "embeddings" else "gpt-4o"
        for found in filter(None, paths)
    }


def path_of(case: Case) -> str:
    """The case's route at the sidecar, with its query."""
    path = case["url_path"] or _PATHS[case["api"]]
    path = re.sub(r"<[^>]*>", "p", path.replace("//", "/"))
    provider = case["provider"]
    if provider == "zai":
        path = _PATHS["chat"]  # operators give its own prefix in the route's address
    prefix = "" if provider in _PLAIN else f"/v1/{_NATIVE.get(provider, provider)}"
    if provider == "openrouter" and not path.startswith("/api"):
        path = f"/api{path}"
    query = f"?{case['query']}" if case["query"] else ""
    return f"{prefix}{path}{query}"


def _made_up(case: Case) -> dict[str, Any]:
    model = case["model_requested"] or case["model_response"] or "gpt-4o"
    if case["api"] == "responses":
        return {"model": model, "input": "hi", "stream": case["streaming"]}
    body: dict[str, Any] = {"model": model, "messages": _HI}
    if case["streaming"]:
        # Bodies with usage were recorded for callers who asked for it.
        body |= {"stream": True, "stream_options": {"include_usage": case["usage_present"]}}
    return body


def _form(case: Case) -> bytes:
    models = {"audio": "gpt-4o-transcribe", "images": "dall-e-2"}
    model = case["model_requested"] or case["model_response"] or models.get(case["api"], "")
    if case["api"] == "audio" and not case["usage_present"]:
        model = "whisper-1"
    fields = {"model": model, "purpose": "user_data", "prompt": "water"}
    if case["streaming"]:
        fields["stream"] = "true"
    parts = [f'name="{name}"\r\n\r\n{value}' for name, value in fields.items() if value]
    parts.append('name="file"; filename="a.wav"\r\ncontent-type: audio/wav\r\n\r\nwater')
    body = "".join(f"--{_FORM}\r\ncontent-disposition: form-data; {part}\r\n" for part in parts)
    return f"{body}--{_FORM}--\r\n".encode()
