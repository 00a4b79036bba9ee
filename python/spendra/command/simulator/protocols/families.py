"""How families of providers differ besides their answers: credentials, errors, headers."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from spendra.command.simulator.answer import Answer, Headers, Request
from spendra.command.simulator.call import Refused
from spendra.providers.table import PROVIDERS

_OWN_SHAPES: Final = {"azure": "azure", "openrouter": "openrouter"}
"""OpenAI's protocol, with words of their own."""
FAMILIES: Final = {name: row.protocol for name, row in PROVIDERS.items()} | _OWN_SHAPES
"""The first part of a path that names a provider, to its family."""

_CREDENTIALS: Final = {
    "anthropic": ("x-api-key", "authorization"),
    "azure": ("api-key", "x-api-key", "authorization"),
    "google": ("x-goog-api-key", "authorization"),
    # Azure's own paths begin with /openai too.
    "openai": ("authorization", "api-key"),
}
_BEARER: Final = ("authorization",)
_OURS: Final = "spd_"


def check_credential(request: Request, family: str) -> None:
    """Refused without a credential, and with a Spendra key: no provider knows one."""
    presented = [request.headers.get(name, "") for name in _CREDENTIALS.get(family, _BEARER)]
    if family == "google":
        presented.append(request.parameter("key"))
    bare = [text.removeprefix("Bearer ") for text in presented if text]
    if not bare:
        raise Refused(401, "You didn't provide an API key.")
    if any(text.startswith(_OURS) for text in bare):
        raise Refused(401, "Incorrect API key provided: it is a Spendra key.")


# --- errors -------------------------------------------------------------------------------

# status -> (OpenAI's type, OpenAI's code, Anthropic's type, Google's status, message)
_KNOWN: Final[dict[int, tuple[str, str | None, str, str, str]]] = {
    400: ("invalid_request_error", None, "invalid_request_error", "INVALID_ARGUMENT",
          "The request could not be read."),
    401: ("invalid_request_error", "invalid_api_key", "authentication_error", "UNAUTHENTICATED",
          "Incorrect API key provided."),
    402: ("insufficient_quota", "insufficient_quota", "billing_error", "FAILED_PRECONDITION",
          "Your credit is used up."),
    403: ("invalid_request_error", "unsupported_country_region_territory", "permission_error",
          "PERMISSION_DENIED", "Not supported here."),
    404: ("invalid_request_error", "model_not_found", "not_found_error", "NOT_FOUND",
          "The model does not exist."),
    413: ("invalid_request_error", None, "request_too_large", "INVALID_ARGUMENT",
          "The request is too large."),
    429: ("requests", "rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED",
          "Rate limit reached for requests."),
    500: ("server_error", None, "api_error", "INTERNAL",
          "The server had an error while processing your request."),
    503: ("server_error", "service_unavailable", "overloaded_error", "UNAVAILABLE",
          "The engine is currently overloaded."),
    529: ("server_error", "service_unavailable", "overloaded_error", "UNAVAILABLE", "Overloaded"),
}  # fmt: skip


def _openai(status: int, message: str, param: str | None) -> object:
    kind, code = _known(status)[:2]
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _openrouter(status: int, message: str, param: str | None) -> object:
    return {"error": {"message": message, "code": status, "metadata": {"param": param}}}


def _anthropic(status: int, message: str, param: str | None) -> object:  # noqa: ARG001 (one form)
    told = {"type": _known(status)[2], "message": message}
    return {"type": "error", "error": told, "request_id": "req_sim"}


def _google(status: int, message: str, param: str | None) -> object:  # noqa: ARG001 (one form)
    return {"error": {"code": status, "message": message, "status": _known(status)[3]}}


def _mistral(status: int, message: str, param: str | None) -> object:
    if status == 401:  # noqa: PLR2004 (HTTP)
        return {"detail": message}
    if status == 422:  # noqa: PLR2004 (HTTP)
        at = ["body", param] if param else ["body"]
        return {"detail": [{"type": "extra_forbidden", "loc": at, "msg": message}]}
    named = {"object": "error", "message": message, "type": _known(status)[0]}
    return named | {"param": param, "code": str(status), "raw_status_code": status}


def _cohere(status: int, message: str, param: str | None) -> object:  # noqa: ARG001 (one form)
    return {"id": "00000000-0000-4000-8000-000000000000", "message": message}


_BODIES: Final[dict[str, Callable[[int, str, str | None], object]]] = {
    "anthropic": _anthropic,
    "cohere": _cohere,
    "google": _google,
    "mistral": _mistral,
    "openrouter": _openrouter,
}


def _known(status: int) -> tuple[str, str | None, str, str, str]:
    return _KNOWN.get(status) or _KNOWN[500 if status >= 500 else 400]  # noqa: PLR2004 (HTTP)


def error_body(family: str, refused: Refused) -> object:
    write = _BODIES.get(family, _openai)
    return write(refused.status, refused.message or _known(refused.status)[4], refused.param)


def error(family: str, refused: Refused, *, wrapped: bool = False) -> Answer:
    """The family's error; 429 and 503 say when to come back. `wrapped`: in a one-element array."""
    body = error_body(family, refused)
    headers = [("content-type", "application/json")]
    if refused.status in (429, 503, 529):
        headers.append(("retry-after", "1"))
    pieces = [msgspec.json.encode([body] if wrapped else body)]
    return Answer(status=refused.status, headers=tuple(headers), pieces=pieces)


def stream_error(family: str, kind: str) -> bytes:
    """An error inside a stream that began with 200. `kind`: the stream's own form, where named."""
    body: Any = error_body(family, Refused(500))
    if kind == "responses":
        return b"event: error\ndata: " + msgspec.json.encode({"type": "error", **body}) + b"\n\n"
    if family == "anthropic" or kind == "messages":
        told = _anthropic(500, _known(500)[4], None)
        return b"event: error\ndata: " + msgspec.json.encode(told) + b"\n\n"
    if family == "cohere":
        end = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": body["message"]}}
        return b"event: message-end\ndata: " + msgspec.json.encode(end) + b"\n\n"
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


# --- headers ------------------------------------------------------------------------------


# `{id}` is the request's own.
_HEADERS: Final[dict[str, dict[str, str]]] = {
    "anthropic": {"request-id": "req_{id}", "anthropic-ratelimit-requests-remaining": "999"},
    "azure": {"x-request-id": "req_{id}", "x-ms-region": "Sweden Central"},
    "cohere": {"x-debug-trace-id": "{id}"},
    "google": {"x-gemini-service-tier": "standard", "server-timing": "gfet4t7; dur=1"},
    "mistral": {"mistral-correlation-id": "{id}"},
    "openai": {
        "openai-organization": "simulated",
        "openai-processing-ms": "1",
        "openai-version": "2020-10-01",
        "x-request-id": "req_{id}",
        "x-ratelimit-remaining-requests": "9999",
    },
    "openrouter": {"x-generation-id": "gen-{id}"},
}


def headers(family: str, serial: int) -> Headers:
    """What the provider says about itself and about its limits."""
    said = _HEADERS.get(family, _HEADERS["openai"])
    return tuple((name, value.format(id=f"sim{serial}")) for name, value in said.items())
