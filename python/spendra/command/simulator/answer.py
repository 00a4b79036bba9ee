"""What is asked and what is answered, apart from any socket; and OpenAI's error bodies."""

from dataclasses import dataclass
from typing import Final

import msgspec

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Header names in lower case; `path` without the query."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`pieces` are the body: one, sent with its length, or a stream's events, sent in chunks."""

    status: int
    headers: Headers
    pieces: list[bytes]
    streamed: bool = False


# status -> (type, code, message)
_KNOWN: Final[dict[int, tuple[str, str | None, str]]] = {
    400: ("invalid_request_error", None, "The request could not be read."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", "unsupported_country_region_territory", "Not supported here."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    500: ("server_error", None, "The server had an error while processing your request."),
    503: ("server_error", "service_unavailable", "The engine is currently overloaded."),
}


def error(status: int, message: str | None = None, *, param: str | None = None) -> Answer:
    """An error in OpenAI's shape; 429 and 503 say when to come back."""
    fallback = _KNOWN[500 if status >= 500 else 400]  # noqa: PLR2004 (server's or caller's)
    kind, code, text = _KNOWN.get(status, fallback)
    body = {"error": {"message": message or text, "type": kind, "param": param, "code": code}}
    headers = [("content-type", "application/json")]
    if status in (429, 503):
        headers.append(("retry-after", "1"))
    return Answer(status=status, headers=tuple(headers), pieces=[msgspec.json.encode(body)])
