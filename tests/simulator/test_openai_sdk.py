"""OpenAI's own SDK takes the simulated provider for the real one."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from spendra.command.simulator.speech.tokens import count_chat_tokens, count_tokens

MODEL = "gpt-4o-mini"
MESSAGES: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "Answer in one word."},
    {"role": "user", "content": "What is wet?"},
]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "unit": {"enum": ["celsius", "kelvin"]},
                "note": {"type": "string"},
            },
            "required": ["city", "days", "unit"],
        },
    },
}
PROMPT_TOKENS = count_chat_tokens(
    json.dumps({"model": MODEL, "messages": MESSAGES}).encode(), MODEL
)


@pytest.fixture
def client(provider_url: str) -> Iterator[openai.OpenAI]:
    base_url = f"{provider_url}/v1"
    with openai.OpenAI(base_url=base_url, api_key="sk-test", max_retries=0) as client:
        yield client


def simulate(words: str) -> dict[str, str]:
    return {"x-simulate": words}


def test_a_plain_answer_has_true_counts(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=MESSAGES)
    (choice,) = answer.choices
    assert answer.id.startswith("chatcmpl-")
    assert (answer.object, answer.model, answer.service_tier) == (
        "chat.completion",
        MODEL,
        "default",
    )
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant")
    assert choice.message.content
    assert answer.usage
    assert answer.usage.completion_tokens == count_tokens(choice.message.content, MODEL) == 24
    assert answer.usage.prompt_tokens == PROMPT_TOKENS
    assert answer.usage.total_tokens == PROMPT_TOKENS + 24
    assert answer.usage.prompt_tokens_details
    assert answer.usage.prompt_tokens_details.cached_tokens == 0
    assert answer.usage.completion_tokens_details
    assert answer.usage.completion_tokens_details.reasoning_tokens == 0


def test_the_same_request_gets_the_same_words(client: openai.OpenAI) -> None:
    first, second = (client.chat.completions.create(model=MODEL, messages=MESSAGES) for _ in "12")
    assert first.choices[0].message.content == second.choices[0].message.content
    assert first.id != second.id


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("tokens", [0, 1, 7])
def test_a_limit_is_met_exactly(client: openai.OpenAI, limit: str, tokens: int) -> None:
    limits: Any = {limit: tokens}
    answer = client.chat.completions.create(model=MODEL, messages=MESSAGES, **limits)
    assert answer.usage
    assert (answer.usage.completion_tokens, answer.choices[0].finish_reason) == (tokens, "length")


def test_choices_are_counted_together(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, n=3, extra_headers=simulate("tokens=5")
    )
    texts = [choice.message.content for choice in answer.choices]
    assert len(set(texts)) == 3
    assert answer.usage
    assert answer.usage.completion_tokens == 15


def test_a_forced_tool_is_called_with_what_its_schema_requires(client: openai.OpenAI) -> None:
    choices: tuple[Any, ...] = (
        "required",
        {"type": "function", "function": {"name": "get_weather"}},
    )
    for tool_choice in choices:
        answer = client.chat.completions.create(
            model=MODEL, messages=MESSAGES, tools=[WEATHER], tool_choice=tool_choice
        )
        (choice,) = answer.choices
        assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
        assert choice.message.tool_calls
        (call,) = choice.message.tool_calls
        assert call.type == "function"
        assert call.function.name == "get_weather"
        expected = {"city": "water", "days": 1, "unit": "celsius"}
        assert json.loads(call.function.arguments) == expected
        assert answer.usage
        assert answer.usage.completion_tokens == count_tokens(call.function.arguments, MODEL)


def test_a_tool_that_is_only_offered_is_not_called(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=MESSAGES, tools=[WEATHER])
    assert answer.choices[0].finish_reason == "stop"


def chunks_of(client: openai.OpenAI, words: str = "", **more: Any) -> list[ChatCompletionChunk]:
    stream = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, extra_headers=simulate(words), **more
    )
    return list(stream)


def test_a_stream_says_the_same_without_usage(client: openai.OpenAI) -> None:
    plain = client.chat.completions.create(model=MODEL, messages=MESSAGES)
    chunks = chunks_of(client)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == (
        plain.choices[0].message.content
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks[-2:]] == [None, "stop"]
    assert all(c.usage is None and c.choices for c in chunks)


def test_usage_comes_in_a_last_chunk_of_its_own_when_asked(client: openai.OpenAI) -> None:
    chunks = chunks_of(client, "tokens=4", stream_options={"include_usage": True})
    assert [bool(c.usage) for c in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].choices == []
    assert chunks[-1].usage
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (
        PROMPT_TOKENS,
        4,
    )


def test_a_stream_of_choices_interleaves_them(client: openai.OpenAI) -> None:
    chunks = chunks_of(client, "tokens=3", n=2)
    assert [c.choices[0].index for c in chunks] == [0, 1] * 5


def test_a_streamed_tool_call_adds_up(client: openai.OpenAI) -> None:
    chunks = chunks_of(client, tools=[WEATHER], tool_choice="required")
    calls = [(c.choices[0].delta.tool_calls or [None])[0] for c in chunks]
    assert calls[0]
    assert calls[0].function
    assert (calls[0].function.name, calls[0].type) == ("get_weather", "function")
    arguments = "".join(c.function.arguments or "" for c in calls if c and c.function)
    assert json.loads(arguments)["city"] == "water"
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_an_error_raises_its_own_exception(
    client: openai.OpenAI, status: int, raised: type[openai.APIStatusError]
) -> None:
    with pytest.raises(raised) as error:
        client.chat.completions.create(
            model=MODEL, messages=MESSAGES, extra_headers=simulate(f"status={status}")
        )
    assert error.value.status_code == status
    assert error.value.type
    assert error.value.request_id


def test_a_request_without_a_key_is_not_answered(provider_url: str) -> None:
    answer = httpx.post(f"{provider_url}/v1/chat/completions", json={"model": "m", "messages": []})
    assert answer.status_code == 401


def test_a_cut_answer_raises(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(
            model=MODEL, messages=MESSAGES, extra_headers=simulate("cut-after=20")
        )


def test_a_cut_stream_raises_after_what_was_sent(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, extra_headers=simulate("cut-after=3")
    )
    said = []
    with pytest.raises(openai.APIConnectionError):  # noqa: PT012 (what came before counts)
        for chunk in stream:
            said.append(chunk.choices[0].delta.content)  # noqa: PERF401 (the loop raises)
    assert len(said) == 3


def test_a_dropped_connection_raises(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(
            model=MODEL, messages=MESSAGES, extra_headers=simulate("drop")
        )


def test_the_models_can_be_listed(client: openai.OpenAI) -> None:
    assert MODEL in [model.id for model in client.models.list()]
