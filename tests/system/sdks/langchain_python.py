"""LangChain's chat models over OpenAI and Anthropic."""

from collections.abc import Generator
from typing import Any

import anthropic
import httpx
import openai
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import SecretStr

from tests.system.sdks import anthropic_python, openai_python
from tests.system.sdks.driver import MAX_OUTPUT_TOKENS, QUESTION, SCHEMA, TOOL, Said, Sdk, Target

TOOLS = [{"type": "function", "function": {"name": TOOL, "description": "w", "parameters": SCHEMA}}]


class Chat:
    def __init__(self, model: Any, embeddings: OpenAIEmbeddings | None = None) -> None:
        self._model, self._embeddings = model, embeddings

    def plain(self) -> Said:
        answer = self._model.invoke(QUESTION)
        usage = answer.usage_metadata
        return Said(answer.text, usage["input_tokens"], usage["output_tokens"])

    def stream(self) -> Generator[str]:
        for chunk in self._model.stream(QUESTION):
            if chunk.text:
                yield chunk.text

    def tool(self) -> dict[str, Any]:
        answer = self._model.bind_tools(TOOLS, tool_choice="any").invoke(QUESTION)
        (call,) = answer.tool_calls
        assert call["name"] == TOOL
        arguments: dict[str, Any] = call["args"]
        return arguments

    def embed(self) -> int:
        assert self._embeddings
        return len(self._embeddings.embed_documents(["wet", "dry"]))

    def file(self, content: bytes) -> bytes:
        raise NotImplementedError

    def close(self) -> None:
        """LangChain closes its clients when they are collected."""


def over_openai(at: Target) -> Chat:
    model = ChatOpenAI(
        model="gpt-4o-mini",
        base_url=at.url,
        api_key=SecretStr(at.key),
        default_headers=at.headers,
        **at.limited,
        max_tokens=MAX_OUTPUT_TOKENS,  # type: ignore[call-arg]
    )
    embeddings = OpenAIEmbeddings(
        model="text-embedding-3-small",
        base_url=at.url,
        api_key=SecretStr(at.key),
        default_headers=at.headers,
        **at.limited,
        check_embedding_ctx_length=False,
    )
    return Chat(model, embeddings)


def over_anthropic(at: Target) -> Chat:
    model = ChatAnthropic(
        model="claude-haiku-4-5",
        base_url=at.url,
        api_key=SecretStr(at.key),
        default_headers=at.headers,
        **at.limited,
        max_tokens=MAX_OUTPUT_TOKENS,
    )
    return Chat(model)


ROWS = (
    Sdk(
        name="langchain-openai",
        package="langchain-openai",
        protocol="OpenAI chat completions",
        make=over_openai,
        path="/v1",
        direct="/openai/v1",
        model="gpt-4o-mini",
        embedding_model="text-embedding-3-small",
        raises=openai_python.RAISES,
        prices_nanousd=(150, 600),
        cut=(openai.APIError, httpx.RemoteProtocolError),
    ),
    Sdk(
        name="langchain-anthropic",
        package="langchain-anthropic",
        protocol="Anthropic Messages",
        make=over_anthropic,
        path="",
        direct="/anthropic",
        model="claude-haiku-4-5",
        raises=anthropic_python.RAISES,
        prices_nanousd=(1000, 5000),
        cut=(anthropic.APIError, httpx.RemoteProtocolError),
    ),
)
