"""The mistralai and cohere packages."""

import json
from collections.abc import Generator
from typing import Any

import cohere
import cohere.core
import httpx
from mistralai.client import Mistral
from mistralai.client.errors import MistralError

from tests.system.sdks.driver import (
    MAX_OUTPUT_TOKENS,
    QUESTION,
    SCHEMA,
    TOOL,
    Said,
    Sdk,
    Target,
    ToldError,
)

MESSAGES: Any = [{"role": "user", "content": QUESTION}]
TOOLS: Any = [{"type": "function", "function": {"name": TOOL, "parameters": SCHEMA}}]


class MistralChat:
    MODEL, EMBEDDING_MODEL = "mistral-small-latest", "mistral-embed"

    def __init__(self, at: Target) -> None:
        self._http = httpx.Client(headers=at.headers, follow_redirects=True, timeout=60)
        self._client = Mistral(api_key=at.key, server_url=at.url, client=self._http)

    def _asked(self, **more: Any) -> Any:
        fixed = {"model": self.MODEL, "messages": MESSAGES, "max_tokens": MAX_OUTPUT_TOKENS}
        return fixed | more

    def plain(self) -> Said:
        answer = self._client.chat.complete(**self._asked())
        text = answer.choices[0].message.content  # type: ignore[union-attr]
        usage = answer.usage
        return Said(str(text), usage.prompt_tokens or 0, usage.completion_tokens or 0)

    def stream(self) -> Generator[str]:
        with self._client.chat.stream(**self._asked()) as events:
            for event in events:
                if event.data.choices[0].delta.content:
                    yield str(event.data.choices[0].delta.content)

    def tool(self) -> dict[str, Any]:
        answer = self._client.chat.complete(**self._asked(tools=TOOLS, tool_choice="any"))
        (call,) = answer.choices[0].message.tool_calls or []  # type: ignore[union-attr]
        assert call.function.name == TOOL
        arguments: dict[str, Any] = json.loads(str(call.function.arguments))
        return arguments

    def embed(self) -> int:
        answer = self._client.embeddings.create(model=self.EMBEDDING_MODEL, inputs=["wet", "dry"])
        return len(answer.data)

    def file(self, content: bytes) -> bytes:
        raise NotImplementedError

    def close(self) -> None:
        self._http.close()


class CohereChat:
    MODEL, EMBEDDING_MODEL = "command-a-03-2025", "embed-v4.0"

    def __init__(self, at: Target) -> None:
        self._http = httpx.Client(headers=at.headers, timeout=60)
        self._client = cohere.ClientV2(
            api_key=at.key, base_url=at.url, httpx_client=self._http, **at.limited
        )

    def _asked(self, **more: Any) -> Any:
        fixed = {"model": self.MODEL, "messages": MESSAGES, "max_tokens": MAX_OUTPUT_TOKENS}
        return fixed | more

    def plain(self) -> Said:
        answer = self._client.chat(**self._asked())
        billed = answer.usage.billed_units  # type: ignore[union-attr]
        text = answer.message.content[0].text  # type: ignore[index, union-attr]
        return Said(text, int(billed.input_tokens or 0), int(billed.output_tokens or 0))  # type: ignore[union-attr]

    def stream(self) -> Generator[str]:
        for event in self._client.chat_stream(**self._asked()):
            if event.type == "content-delta":
                yield event.delta.message.content.text  # type: ignore[union-attr, misc]
            if event.type == "message-end" and event.delta.finish_reason == "ERROR":  # type: ignore[union-attr]
                raise ToldError

    def tool(self) -> dict[str, Any]:
        answer = self._client.chat(**self._asked(tools=TOOLS, tool_choice="REQUIRED"))
        (call,) = answer.message.tool_calls or []
        assert call.function
        assert call.function.name == TOOL
        arguments: dict[str, Any] = json.loads(call.function.arguments or "")
        return arguments

    def embed(self) -> int:
        answer = self._client.embed(
            model=self.EMBEDDING_MODEL,
            texts=["wet", "dry"],
            input_type="search_query",
            embedding_types=["float"],
        )
        return len(answer.embeddings.float_ or [])

    def file(self, content: bytes) -> bytes:
        raise NotImplementedError

    def close(self) -> None:
        self._http.close()


ROWS = (
    Sdk(
        name="mistralai",
        package="mistralai",
        protocol="Mistral",
        make=MistralChat,
        path="/v1/mistral",
        direct="/mistral",
        model=MistralChat.MODEL,
        embedding_model=MistralChat.EMBEDDING_MODEL,
        raises={402: MistralError, 403: MistralError, 429: MistralError},
        prices_nanousd=(150, 600),
        cut=(MistralError, httpx.RemoteProtocolError),
    ),
    Sdk(
        name="cohere",
        package="cohere",
        protocol="Cohere v2",
        make=CohereChat,
        path="/v1/cohere",
        direct="/cohere",
        model=CohereChat.MODEL,
        embedding_model=CohereChat.EMBEDDING_MODEL,
        prices_nanousd=(2500, 10_000),
        raises={
            402: cohere.core.ApiError,
            403: cohere.ForbiddenError,
            429: cohere.TooManyRequestsError,
        },
        cut=(ToldError, httpx.RemoteProtocolError),
    ),
)
