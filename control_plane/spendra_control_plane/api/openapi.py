"""The OpenAPI document: what FastAPI knows, with each problem that can be answered and examples."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from spendra_control_plane.api.answers import ANSWERS
from spendra_control_plane.api.examples import EXAMPLES
from spendra_control_plane.api.problems import MEDIA_TYPE
from spendra_control_plane.authoring.refusals import KINDS

_EVERYWHERE = ("not_authenticated", "invalid_request", "too_many_requests", "database_unavailable")
_CHANGES = frozenset({"post", "put", "patch", "delete"})
_OPEN = frozenset({"/healthz", "/readyz", "/metrics"})
_MAY_LACK = frozenset({"/v1/sign-in"})
_TEXT = {"type": "string"}
PROBLEM = {
    "type": "object",
    "required": ["type", "code", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:spendra:problem:not_found"]},
        "code": {"type": "string", "enum": sorted(KINDS)},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": {**_TEXT, "description": "a sentence that says what to do"},
        "request_id": _TEXT,
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"field": _TEXT, "message": _TEXT}},
        },
    },
}


def document(app: FastAPI) -> dict[str, Any]:
    """The document of an application's routes; made once, then kept by FastAPI."""
    made = get_openapi(
        title=app.title, version=app.version, routes=app.routes, description=app.description
    )
    schemas = made["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM
    for name, example in EXAMPLES.items():
        schemas[name]["examples"] = [example]
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            _add_answer(path, method, operation)
            _add_problems(path, method, operation)
    return made


def _add_answer(path: str, method: str, operation: dict[str, Any]) -> None:
    answer = ANSWERS.get(f"{method.upper()} {path}")
    for status, response in operation["responses"].items():
        if answer is not None and status.startswith("2"):
            response["content"]["application/json"] = answer


def _add_problems(path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    if path in _OPEN:
        return
    found: dict[int, list[str]] = {}
    for code in _codes(path, method, operation):
        found.setdefault(KINDS[code][0], []).append(code)
    for status, codes in sorted(found.items()):
        schema = {"$ref": "#/components/schemas/Problem"}
        content = {MEDIA_TYPE: {"schema": schema}}
        responses[str(status)] = {"description": ", ".join(codes), "content": content}


def _codes(path: str, method: str, operation: dict[str, Any]) -> list[str]:
    named = {one["name"].lower() for one in operation.get("parameters", [])}
    codes = [*_EVERYWHERE, "not_allowed"]
    if "{" in path or method == "post" or path in _MAY_LACK:
        codes.append("not_found")
    if method in _CHANGES:
        codes.append("conflict")
    if method == "post" and "idempotency-key" in named:
        codes += ["idempotency_in_flight", "idempotency_key_reused"]
    if "if-match" in named:
        codes.append("changed_meanwhile")
    return codes
