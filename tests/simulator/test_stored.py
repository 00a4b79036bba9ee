"""What the simulated provider keeps between requests, by the official SDKs."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import types

ASKED: Any = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def client(provider_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{provider_url}/v1", api_key="sk-test", max_retries=0) as client:
        yield client


def test_a_background_response_tells_its_usage_when_it_is_looked_at(client: openai.OpenAI) -> None:
    made = client.responses.create(model="gpt-4o-mini", input="hi", background=True)
    assert (made.status, made.usage) == ("queued", None)
    seen = client.responses.retrieve(made.id)
    assert seen.usage
    assert (seen.status, seen.usage.output_tokens) == ("completed", 24)
    assert client.responses.retrieve(made.id).usage == seen.usage
    assert client.responses.input_items.list(made.id).data
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_a_cancelled_background_response_has_no_usage(client: openai.OpenAI) -> None:
    made = client.responses.create(model="gpt-4o-mini", input="hi", background=True)
    assert client.responses.cancel(made.id).status == "cancelled"
    assert client.responses.retrieve(made.id).usage is None


def test_a_batch_answers_each_line_of_its_file(client: openai.OpenAI) -> None:
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": ASKED}
    lines = b"\n".join(json.dumps(line | {"custom_id": name}).encode() for name in "abc")
    file = client.files.create(file=("batch.jsonl", lines), purpose="batch")
    endpoint: Any = line["url"]
    made = client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h")
    assert (made.status, made.output_file_id) == ("validating", None)
    done = client.batches.retrieve(made.id)
    assert done.status == "completed"
    assert done.output_file_id
    output = client.files.content(done.output_file_id).text.splitlines()
    answers = [json.loads(answered) for answered in output]
    assert [answer["custom_id"] for answer in answers] == ["a", "b", "c"]
    usages = {answer["response"]["body"]["usage"]["completion_tokens"] for answer in answers}
    assert usages == {24}


def test_a_batch_of_messages_has_results(provider_url: str) -> None:
    client = anthropic.Anthropic(base_url=f"{provider_url}/anthropic", api_key="sk-test")
    params: Any = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": ASKED["messages"]}
    made = client.messages.batches.create(requests=[{"custom_id": "a", "params": params}])
    assert made.processing_status == "in_progress"
    (result,) = client.messages.batches.results(made.id)
    assert result.result.type == "succeeded"
    assert result.result.message.usage.output_tokens == 9


def test_a_cached_content_can_be_listed_and_deleted(provider_url: str) -> None:
    options = types.HttpOptions(base_url=f"{provider_url}/google")
    client = genai.Client(api_key="sk-test", http_options=options)
    config = types.CreateCachedContentConfig(contents="water " * 50)
    made = client.caches.create(model="gemini-2.5-flash", config=config)
    assert made.name
    assert made.usage_metadata
    assert made.usage_metadata.total_token_count
    assert made.name in [cache.name for cache in client.caches.list()]
    client.caches.delete(name=made.name)
    assert made.name not in [cache.name for cache in client.caches.list()]


def test_a_generation_of_a_caller_who_left_costs_what_was_written(provider_url: str) -> None:
    headers = {"authorization": "Bearer sk-test", "x-simulate": "chunk-ms=20,tokens=1000"}
    with httpx.Client(base_url=f"{provider_url}/openrouter/api/v1", headers=headers) as http:
        asked = ASKED | {"stream": True}
        with http.stream("POST", "/chat/completions", json=asked) as stream:
            identity = stream.headers["x-generation-id"]
            chunks = stream.iter_bytes()
            for _ in range(5):
                next(chunks)
        seen: dict[str, Any] = {}
        while not seen.get("cancelled"):
            seen = http.get("/generation", params={"id": identity}).json()["data"]
    assert 0 < seen["native_tokens_completion"] < 1000
    tokens = seen["native_tokens_prompt"] + seen["native_tokens_completion"]
    assert seen["total_cost"] == pytest.approx(tokens / 1_000_000)


def test_a_spendra_key_is_no_providers(provider_url: str) -> None:
    for name in ("authorization", "x-api-key"):
        answer = httpx.post(
            f"{provider_url}/anthropic/v1/messages",
            headers={name: "spd_live_1_2"},
            json={**ASKED, "max_tokens": 1},
        )
        assert (answer.status_code, answer.json()["type"]) == (401, "error")


def test_mistral_refuses_a_field_that_it_does_not_know(provider_url: str) -> None:
    answer = httpx.post(
        f"{provider_url}/mistral/v1/chat/completions",
        headers={"authorization": "Bearer sk-test"},
        json=ASKED | {"max_completion_tokens": 5},
    )
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "max_completion_tokens"]


def test_a_google_stream_without_events_is_one_array_also_for_an_error(provider_url: str) -> None:
    url = f"{provider_url}/google/v1beta/models/gemini-2.5-flash:streamGenerateContent"
    asked = {"contents": [{"parts": [{"text": "hi"}]}]}
    headers = {"x-goog-api-key": "sk-test"}
    chunks = httpx.post(url, json=asked, headers=headers).json()
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
    assert chunks[-1]["usageMetadata"]["candidatesTokenCount"] == 24
    failed = httpx.post(url, json=asked, headers=headers | {"x-simulate": "status=429"})
    assert failed.json()[0]["error"]["status"] == "RESOURCE_EXHAUSTED"


def test_thinking_is_told_as_each_provider_tells_it(provider_url: str) -> None:
    words = {"x-simulate": "reasoning=50,tokens=7", "authorization": "Bearer sk-test"}
    hidden = httpx.post(
        f"{provider_url}/gemini/v1beta/openai/chat/completions", json=ASKED, headers=words
    ).json()["usage"]
    assert hidden["completion_tokens"] == 7
    assert hidden["total_tokens"] - hidden["prompt_tokens"] == 57
    told = httpx.post(f"{provider_url}/v1/chat/completions", json=ASKED, headers=words).json()
    assert told["usage"]["completion_tokens"] == 57
    assert told["usage"]["completion_tokens_details"]["reasoning_tokens"] == 50


def test_an_interaction_is_told_whole_and_as_a_stream(provider_url: str) -> None:
    url, headers = f"{provider_url}/google/v1beta/interactions", {"x-goog-api-key": "sk-test"}
    asked = {"model": "gemini-2.5-flash", "input": "hi"}
    whole = httpx.post(url, json=asked, headers=headers).json()
    assert whole["usage"]["total_output_tokens"] == 24
    assert httpx.get(f"{url}/{whole['id']}", headers=headers).json() == whole
    stream = httpx.post(url, json=asked | {"stream": True}, headers=headers).text
    assert stream.count("event: step.delta") == 24
    assert stream.endswith("event: done\ndata: [DONE]\n\n")
