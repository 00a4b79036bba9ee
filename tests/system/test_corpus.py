"""The recorded OpenAI chat responses, through a running sidecar."""

import json
from typing import Any

import httpx
import pytest

from tests.system.conftest import CORPUS, System

INDEX = CORPUS / "index.jsonl"
"""The recorded traffic is not part of the repository: no cases where it is not at hand."""
CASES = [
    case
    for case in map(json.loads, INDEX.read_text().splitlines() if INDEX.exists() else ())
    if (case["provider"], case["api"]) == ("openai", "chat")
]


def request_of(case: dict[str, Any]) -> dict[str, Any]:
    """The recorded request where it is known, else one that would get such an answer."""
    path = CORPUS / f"{case['id']}.request.json"
    if path.exists():
        known: dict[str, Any] = json.loads(path.read_text())
        if "messages" in known and "model" in known:
            return known
    model = case["model_requested"] or case["model_response"] or "gpt-4o"
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    if case["streaming"]:
        # Bodies with usage were recorded for callers who asked for it.
        body |= {"stream": True, "stream_options": {"include_usage": case["usage_present"]}}
    return body


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_usage_is_the_indexs_and_bytes_are_the_providers(
    system: System, case: dict[str, Any]
) -> None:
    answer = httpx.post(
        f"{system.up['sidecar_url']}/v1/chat/completions",
        json=request_of(case),
        headers={
            "authorization": f"Bearer {system.up['api_key']}",
            "x-simulate": f"replay={case['id']}",
        },
        timeout=30,
    )
    if answer.status_code == 403 and answer.json()["error"]["code"] == "unpriced_model":
        assert case["status"] >= 400, "a model that answered must have a price"
        return
    assert answer.status_code == case["status"]
    assert answer.content == (CORPUS / f"{case['id']}.body").read_bytes()
    decision = system.ended(answer.headers["x-spendra-decision-id"])
    if case["usage_present"]:
        expected = case["usage"]
        assert decision["usage_confidence"] == "reported"
        for name, booked in decision["usage"].items():
            assert booked == (expected.get(name) or 0), name
