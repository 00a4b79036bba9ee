"""The openai package: chat, Responses, Azure's client, and OpenRouter through it."""

import json
from collections.abc import Generator
from typing import Any

import openai

from tests.system.sdks.driver import MAX_OUTPUT_TOKENS, QUESTION, SCHEMA, TOOL, Said, Sdk, Target

MESSAGES: Any = [{"role": "user", "content": QUESTION}]
RAISES: dict[int, type[Exception] | str] = {
    402: openai.APIStatusError,
    403: openai.PermissionDeniedError,
    429: openai.RateLimitError,
}


class Chat:
    def __init__(self, client: openai.OpenAI, model: str, embedding_model: str = "") -> None:
        self._client, self._model, self._embedding_model = client, model, embedding_model

    def _create(self, **more: Any) -> Any:
        return self._client.chat.completions.create(
            model=self._model, messages=MESSAGES, max_tokens=MAX_OUTPUT_TOKENS, **more
        )

    def plain(self) -> Said:
        answer = self._create()
        usage = answer.usage
        text = answer.choices[0].message.content
        return Said(text, usage.prompt_tokens, usage.completion_tokens)

    def stream(self) -> Generator[str]:
        with self._create(stream=True) as chunks:
            for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    yield chunk.choices[0].delta.content

    def tool(self) -> dict[str, Any]:
        function = {"name": TOOL, "parameters": SCHEMA}
        tools = [{"type": "function", "function": function}]
        answer = self._create(tools=tools, tool_choice="required")
        (call,) = answer.choices[0].message.tool_calls
        assert call.function.name == TOOL
        arguments: dict[str, Any] = json.loads(call.function.arguments)
        return arguments

    def embed(self) -> int:
        answer = self._client.embeddings.create(model=self._embedding_model, input=["wet", "dry"])
        assert all(len(item.embedding) > 1 for item in answer.data)
        return len(answer.data)

    def file(self, content: bytes) -> bytes:
        made = self._client.files.create(file=("notes.txt", content), purpose="user_data")
        assert self._client.files.retrieve(made.id).bytes == len(content)
        back = self._client.files.content(made.id).read()
        assert self._client.files.delete(made.id).deleted
        return back

    def close(self) -> None:
        self._client.close()


class Responses(Chat):
    def _create(self, **more: Any) -> Any:
        return self._client.responses.create(
            model=self._model, input=QUESTION, max_output_tokens=MAX_OUTPUT_TOKENS, **more
        )

    def plain(self) -> Said:
        answer = self._create()
        return Said(answer.output_text, answer.usage.input_tokens, answer.usage.output_tokens)

    def stream(self) -> Generator[str]:
        with self._create(stream=True) as events:
            for event in events:
                if event.type == "response.output_text.delta":
                    yield event.delta

    def tool(self) -> dict[str, Any]:
        tools = [{"type": "function", "name": TOOL, "parameters": SCHEMA, "strict": False}]
        (call,) = self._create(tools=tools, tool_choice="required").output
        assert call.name == TOOL
        arguments: dict[str, Any] = json.loads(call.arguments)
        return arguments


def plain_client(at: Target) -> openai.OpenAI:
    return openai.OpenAI(base_url=at.url, api_key=at.key, default_headers=at.headers, **at.limited)


def azure(at: Target) -> Chat:
    client = openai.AzureOpenAI(
        azure_endpoint=at.url,
        api_key=at.key,
        api_version="2024-10-21",
        default_headers=at.headers,
        **at.limited,
    )
    return Chat(client, "gpt-4o-mini", "text-embedding-3-small")


ROWS = (
    Sdk(
        name="openai chat",
        package="openai",
        protocol="OpenAI chat completions",
        make=lambda at: Chat(plain_client(at), "gpt-4o-mini", "text-embedding-3-small"),
        path="/v1",
        direct="/openai/v1",
        model="gpt-4o-mini",
        embedding_model="text-embedding-3-small",
        files=True,
        raises=RAISES,
        prices_nanousd=(150, 600),
        cut=(openai.APIError,),
    ),
    Sdk(
        name="openai responses",
        package="openai",
        protocol="OpenAI Responses",
        make=lambda at: Responses(plain_client(at), "gpt-4o-mini"),
        path="/v1",
        direct="/openai/v1",
        model="gpt-4o-mini",
        raises=RAISES,
        prices_nanousd=(150, 600),
        cut=(openai.APIError,),
    ),
    Sdk(
        name="openai azure",
        package="openai",
        protocol="Azure OpenAI deployments",
        make=azure,
        path="/v1/azure",
        direct="/azure",
        model="gpt-4o-mini",
        embedding_model="text-embedding-3-small",
        raises=RAISES,
        prices_nanousd=(150, 600),
        cut=(openai.APIError,),
    ),
    Sdk(
        name="openai openrouter",
        package="openai",
        protocol="OpenRouter",
        make=lambda at: Chat(plain_client(at), "openai/gpt-4o-mini"),
        path="/v1/openrouter",
        direct="/openrouter/api/v1",
        model="openai/gpt-4o-mini",
        raises=RAISES,
        prices_nanousd=(1000, 1000),
        cut=(openai.APIError,),
    ),
)
