"""Refusals and broken streams in each protocol's own words, so that its SDK raises (WIRE.md, 5)."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from spendra.providers import Protocol
from spendra_sidecar.serving.refusals import Refusal

Error = dict[str, Any]

_ANTHROPIC_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_GOOGLE_STATUSES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def _openai(refusal: Refusal, decision_id: str) -> Error:
    """OpenAI's error object; what is Spendra's own stands under `spendra`."""
    return {
        "error": {
            "message": refusal.message,
            "type": refusal.kind.error_type,
            "param": None,
            "code": refusal.code,
            "spendra": _own(refusal, decision_id),
        }
    }


def _anthropic(refusal: Refusal, decision_id: str) -> Error:
    error_type = _ANTHROPIC_TYPES.get(refusal.kind.status, "invalid_request_error")
    error = {
        "type": error_type,
        "message": refusal.message,
        "spendra": _own(refusal, decision_id),
    }
    return {"type": "error", "error": error, "request_id": decision_id}


def _google(refusal: Refusal, decision_id: str) -> Error:
    """`details` are those of google.rpc; every value of `metadata` must be a text."""
    status = refusal.kind.status
    own = _own(refusal, decision_id)
    metadata = {
        name: value if isinstance(value, str) else _text(value) for name, value in own.items()
    }
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": refusal.code.upper(),
        "domain": "spendra",
        "metadata": metadata,
    }
    return {
        "error": {
            "code": status,
            "message": refusal.message,
            "status": _GOOGLE_STATUSES.get(status, "FAILED_PRECONDITION"),
            "details": [info],
        }
    }


def _cohere(refusal: Refusal, decision_id: str) -> Error:
    return {
        "id": decision_id,
        "message": refusal.message,
        "spendra": _own(refusal, decision_id),
    }


def _mistral(refusal: Refusal, decision_id: str) -> Error:
    return {
        "object": "error",
        "message": refusal.message,
        "type": refusal.kind.error_type,
        "param": None,
        "code": refusal.code,
        "raw_status_code": refusal.kind.status,
        "spendra": _own(refusal, decision_id),
    }


_SHAPES: Final[dict[Protocol, Callable[[Refusal, str], Error]]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "google": _google,
    "cohere": _cohere,
    "mistral": _mistral,
}


def body(refusal: Refusal, decision_id: str, protocol: Protocol, *, listed: bool = False) -> bytes:
    """`listed`: inside an array, as Google does where the stream is one."""
    error = _SHAPES[protocol](refusal, decision_id)
    return msgspec.json.encode([error] if listed else error)


def ending(refusal: Refusal, decision_id: str, protocol: Protocol, framing: str) -> bytes:
    """What ends a stream early so that SDKs raise. `framing`: how the stream is written.

    `events`: server-sent; `responses`: OpenAI's Responses; `array`: Google's; `lines`: Cohere's.
    """
    error = _SHAPES[protocol](refusal, decision_id)
    text = msgspec.json.encode(error)
    if framing == "responses":
        return _responses_end(refusal, decision_id, error)
    if framing == "array":
        return b",\n" + text + b"]"
    if framing == "lines":
        return msgspec.json.encode(_cohere_v1_end(refusal)) + b"\n"
    if protocol == "cohere":
        return _event("message-end", _cohere_end(refusal))
    if protocol == "anthropic":
        return _event("error", error)
    return b"data: " + text + b"\n\n"


def _responses_end(refusal: Refusal, decision_id: str, error: Error) -> bytes:
    """Nested, as OpenAI itself does: the flat form passes through its SDK as an ordinary event."""
    failed: Error = {
        "id": f"resp_{decision_id}",
        "object": "response",
        "status": "failed",
        "error": {"code": refusal.code, "message": refusal.message},
        "output": [],
        "usage": None,
    }
    return _event("error", {"type": "error", **error}) + _event(
        "response.failed", {"type": "response.failed", "response": failed}
    )


def _cohere_end(refusal: Refusal) -> Error:
    delta = {"finish_reason": "ERROR", "error": refusal.message}
    return {"type": "message-end", "delta": delta}


def _cohere_v1_end(refusal: Refusal) -> Error:
    return {
        "is_finished": True,
        "event_type": "stream-end",
        "finish_reason": "ERROR",
        "error": refusal.message,
    }


def _event(name: str, data: Error) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"


def _own(refusal: Refusal, decision_id: str) -> dict[str, Any]:
    return {"decision_id": decision_id, **refusal.details}


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
