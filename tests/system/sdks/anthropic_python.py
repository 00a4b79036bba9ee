"""The anthropic package: Anthropic's own API, and its client for Vertex."""

from collections.abc import Generator
from typing import Any

import anthropic
import httpx

from tests.system.sdks.driver import MAX_OUTPUT_TOKENS, QUESTION, SCHEMA, TOOL, Said, Sdk, Target

RAISES: dict[int, type[Exception] | str] = {
    402: anthropic.APIStatusError,
    403: anthropic.PermissionDeniedError,
    429: anthropic.RateLimitError,
}
MESSAGES: Any = [{"role": "user", "content": QUESTION}]


class Messages:
    def __init__(self, client: Any, model: str) -> None:
        self._client, self._model = client, model

    def _asked(self, **more: Any) -> dict[str, Any]:
        fixed = {"model": self._model, "max_tokens": MAX_OUTPUT_TOKENS, "messages": MESSAGES}
        return fixed | more

    def plain(self) -> Said:
        answer = self._client.messages.create(**self._asked())
        usage = answer.usage
        return Said(answer.content[0].text, usage.input_tokens, usage.output_tokens)

    def stream(self) -> Generator[str]:
        with self._client.messages.stream(**self._asked()) as stream:
            yield from stream.text_stream

    def tool(self) -> dict[str, Any]:
        tools = [{"name": TOOL, "input_schema": SCHEMA}]
        answer = self._client.messages.create(
            **self._asked(tools=tools, tool_choice={"type": "any"})
        )
        (block,) = answer.content
        assert (block.type, block.name) == ("tool_use", TOOL)
        arguments: dict[str, Any] = block.input
        return arguments

    def embed(self) -> int:
        raise NotImplementedError

    def file(self, content: bytes) -> bytes:
        files = self._client.beta.files
        made = files.upload(file=("notes.txt", content, "text/plain"))
        assert files.retrieve_metadata(made.id).size_bytes == len(content)
        back: bytes = files.download(made.id).read()
        files.delete(made.id)
        return back

    def close(self) -> None:
        self._client.close()


def direct(at: Target) -> Messages:
    client = anthropic.Anthropic(
        base_url=at.url, api_key=at.key, default_headers=at.headers, **at.limited
    )
    return Messages(client, "claude-haiku-4-5")


def vertex(at: Target) -> Messages:
    client = anthropic.AnthropicVertex(
        base_url=f"{at.url}/v1",
        access_token=at.key,
        region="us-east5",
        project_id="p",
        default_headers=at.headers,
        **at.limited,
    )
    return Messages(client, "claude-haiku-4-5")


ROWS = (
    Sdk(
        name="anthropic",
        package="anthropic",
        protocol="Anthropic Messages",
        make=direct,
        path="",
        direct="/anthropic",
        model="claude-haiku-4-5",
        files=True,
        raises=RAISES,
        prices_nanousd=(1000, 5000),
        cut=(anthropic.APIError, httpx.RemoteProtocolError),
    ),
    Sdk(
        name="anthropic vertex",
        package="anthropic",
        protocol="Anthropic on Vertex",
        make=vertex,
        path="/v1/vertex",
        direct="/vertex",
        model="claude-haiku-4-5",
        raises=RAISES,
        prices_nanousd=(1000, 5000),
        cut=(anthropic.APIError, httpx.RemoteProtocolError),
    ),
)
