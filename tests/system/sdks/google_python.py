"""The google-genai package, at the Gemini API and at Vertex."""

from collections.abc import Generator
from typing import Any

import google.oauth2.credentials
import httpx
from google import genai
from google.genai import errors, types

from tests.system.sdks.driver import MAX_OUTPUT_TOKENS, QUESTION, SCHEMA, TOOL, Said, Sdk, Target

MODEL, EMBEDDING_MODEL = "gemini-2.5-flash", "gemini-embedding-001"
RAISES: dict[int, type[Exception] | str] = {
    402: errors.ClientError,
    403: errors.ClientError,
    429: errors.ClientError,
}


class Gemini:
    def __init__(self, client: genai.Client) -> None:
        self._client = client

    def _config(self, **more: Any) -> types.GenerateContentConfig:
        return types.GenerateContentConfig(max_output_tokens=MAX_OUTPUT_TOKENS, **more)

    def _create(self, **more: Any) -> types.GenerateContentResponse:
        return self._client.models.generate_content(
            model=MODEL, contents=QUESTION, config=self._config(**more)
        )

    def plain(self) -> Said:
        answer = self._create()
        usage = answer.usage_metadata
        assert answer.text
        assert usage
        return Said(answer.text, usage.prompt_token_count or 0, usage.candidates_token_count or 0)

    def stream(self) -> Generator[str]:
        chunks = self._client.models.generate_content_stream(
            model=MODEL, contents=QUESTION, config=self._config()
        )
        for chunk in chunks:
            if chunk.text:
                yield chunk.text

    def tool(self) -> dict[str, Any]:
        function = types.FunctionDeclaration(name=TOOL, parameters_json_schema=SCHEMA)
        forced = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
        answer = self._create(
            tools=[types.Tool(function_declarations=[function])],
            tool_config=types.ToolConfig(function_calling_config=forced),
        )
        (call,) = answer.function_calls or []
        assert call.name == TOOL
        return call.args or {}

    def embed(self) -> int:
        answer = self._client.models.embed_content(model=EMBEDDING_MODEL, contents=["wet", "dry"])
        return len(answer.embeddings or [])

    def file(self, content: bytes) -> bytes:
        raise NotImplementedError

    def close(self) -> None:
        self._client.close()


def gemini(at: Target) -> Gemini:
    options = types.HttpOptions(base_url=at.url, headers=at.headers)
    return Gemini(genai.Client(api_key=at.key, http_options=options))


def vertex(at: Target) -> Gemini:
    credentials = google.oauth2.credentials.Credentials(token=at.key)  # type: ignore[no-untyped-call]
    client = genai.Client(
        vertexai=True,
        project="p",
        location="europe-west4",
        credentials=credentials,
        http_options=types.HttpOptions(base_url=at.url, headers=at.headers),
    )
    return Gemini(client)


ROWS = (
    Sdk(
        name="google-genai",
        package="google-genai",
        protocol="Gemini",
        make=gemini,
        path="/v1/google",
        direct="/google",
        model=MODEL,
        embedding_model=EMBEDDING_MODEL,
        raises=RAISES,
        prices_nanousd=(300, 2500),
        cut=(errors.APIError, httpx.RemoteProtocolError),
    ),
    Sdk(
        name="google-genai vertex",
        package="google-genai",
        protocol="Vertex",
        make=vertex,
        path="/v1/vertex",
        direct="/vertex",
        model=MODEL,
        raises=RAISES,
        prices_nanousd=(300, 2500),
        cut=(errors.APIError, httpx.RemoteProtocolError),
    ),
)
