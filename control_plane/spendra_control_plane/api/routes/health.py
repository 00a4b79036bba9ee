"""`/healthz`, `/readyz` and `/metrics`."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.responses import Response

from spendra.bearers import bears
from spendra_control_plane.api.plane import InPlane, Plane
from spendra_control_plane.authoring.refusals import Refusal
from spendra_control_plane.stores.postgres import StoreError
from spendra_control_plane.stores.redis import FloorError

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"state": "up"}


@router.get("/readyz")
async def readyz(plane: InPlane) -> JSONResponse:
    """Both stores answer; 503 names the one that does not."""
    stores = {"postgres": await _postgres(plane), "redis": await _redis(plane)}
    ready = all(stores.values())
    words = {name: "up" if up else "down" for name, up in stores.items()}
    return JSONResponse({"state": "ready" if ready else "waiting", **words}, 200 if ready else 503)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(plane: InPlane, request: Request) -> Response:
    """Where SPENDRA_METRICS_TOKEN is set, that is asked for."""
    if not bears(request.headers.get("authorization"), plane.metrics_token):
        raise Refusal("not_authenticated", "SPENDRA_METRICS_TOKEN is asked for.")
    plane.metrics.streams.set(len(plane.feed.subscriptions()))
    return plane.metrics.render()


async def _postgres(plane: Plane) -> bool:
    try:
        return bool(await plane.pool.fetchval("SELECT true"))
    except StoreError:
        return False


async def _redis(plane: Plane) -> bool:
    try:
        await plane.floor.ping()
    except FloorError:
        return False
    return True
