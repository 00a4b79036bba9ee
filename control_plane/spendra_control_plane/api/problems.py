"""Every refusal as `application/problem+json` (RFC 9457), with a sentence that says what to do."""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from spendra_control_plane.authoring.refusals import KINDS, Refusal
from spendra_control_plane.stores.postgres import StoreError

LOG = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
_OF_STATUS = {401: "not_authenticated", 404: "not_found", 405: "method_not_allowed"}


def problem(request: Request, code: str, detail: str, **more: object) -> JSONResponse:
    """One problem answer. `more` are further members of the object."""
    status, title = KINDS[code]
    body: dict[str, Any] = {
        "type": f"urn:spendra:problem:{code}",
        "code": code,
        "title": title,
        "status": status,
        "detail": detail,
        "request_id": request.state.request_id,
        **more,
    }
    headers = {"www-authenticate": "Bearer"} if code == "not_authenticated" else {}
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """One table from error to answer."""
    app.add_exception_handler(Refusal, _refusal)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for kind in StoreError:
        app.add_exception_handler(kind, _store_away)
    app.add_exception_handler(Exception, _fault)


async def _refusal(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)  # noqa: S101 - the table above says so
    answer = problem(request, error.code, error.detail)
    if error.retry_after_s is not None:
        answer.headers["retry-after"] = str(error.retry_after_s)
    return answer


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """What was typed is never repeated: it may be a secret."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    errors = [_field_error(one) for one in error.errors()]
    detail = "; ".join(_sentence(one) for one in errors)
    return problem(request, "invalid_request", detail, errors=errors)


def _field_error(error: Mapping[str, Any]) -> dict[str, str]:
    where = [str(part) for part in error["loc"][1:]]
    message = "the body is not JSON" if error["type"] == "json_invalid" else error["msg"]
    return {"field": ".".join(where), "message": message.removeprefix("Value error, ")}


def _sentence(error: Mapping[str, str]) -> str:
    return f"{error['field']}: {error['message']}" if error["field"] else error["message"]


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    details = {
        404: f"There is no {request.method} {request.url.path} here.",
        405: f"{request.url.path} does not take {request.method}.",
    }
    code = _OF_STATUS.get(error.status_code, "invalid_request")
    answer = problem(request, code, details.get(error.status_code, error.detail))
    answer.headers.update(error.headers or {})
    return answer


async def _store_away(request: Request, error: Exception) -> JSONResponse:
    LOG.warning("request %s met a store error: %r", request.state.request_id, error)
    detail = "The database did not answer as it should; nothing was changed. Try again shortly."
    return problem(request, "database_unavailable", detail)


async def _fault(request: Request, error: Exception) -> JSONResponse:
    LOG.error("request %s failed", request.state.request_id, exc_info=error)
    detail = "This is a fault of the control plane; its log has the request id."
    return problem(request, "internal_error", detail)
