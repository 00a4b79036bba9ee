"""The ASGI application: routes, problems, request ids and metrics around them."""

import re
import time
from collections.abc import Callable
from functools import cache
from typing import Any
from uuid import uuid4

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spendra_control_plane.api import problems
from spendra_control_plane.api.metrics import Metrics
from spendra_control_plane.api.openapi import document
from spendra_control_plane.api.plane import Plane
from spendra_control_plane.api.routes import (
    alerts,
    audit,
    auth,
    budget_requests,
    budgets,
    doctor,
    exports,
    freeze,
    health,
    issuers,
    keys,
    members,
    organizations,
    policies,
    prices,
    providers,
    record,
    reports,
    reviews,
    scopes,
    sidecar_tokens,
    sidecars,
    sign_in,
    templates,
)

ROOMS = (
    organizations,
    freeze,
    members,
    sign_in,
    templates,
    auth,
    scopes,
    keys,
    issuers,
    budgets,
    budget_requests,
    policies,
    reviews,
    providers,
    prices,
    record,
    reports,
    exports,
    audit,
    alerts,
    sidecar_tokens,
    sidecars,
    doctor,
    health,
)
DESCRIPTION = (
    "Amounts are decimal strings of dollars, answered as integer nano-USD besides. "
    "Lists are keyset pages. See docs/api.md."
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")


def build_app(plane: Plane) -> FastAPI:
    """The whole face over the parts of one control plane."""
    title = "Spendra control plane"
    # Its page of the API has its scripts from here, and from nobody else.
    app = FastAPIOffline("/docs", None, title=title, version="1", description=DESCRIPTION)
    app.openapi = _once(app)  # type: ignore[method-assign]
    app.state.plane = plane
    for room in ROOMS:
        app.include_router(room.router)
    problems.install(app)
    app.add_middleware(Observed, metrics=plane.metrics)
    return app


def _once(app: FastAPI) -> Callable[[], dict[str, Any]]:
    return cache(lambda: document(app))


class Observed:
    """Gives each request an id, in and out, and counts its answer."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()

        async def observe(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = request_id
                self._count(scope, message["status"], time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, observe)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        self._metrics.requests.labels(scope["method"], route, str(status)).inc()
        self._metrics.seconds.labels(scope["method"], route).observe(seconds)


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid4())
