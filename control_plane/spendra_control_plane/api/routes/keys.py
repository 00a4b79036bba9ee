"""`/v1/keys`."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter

from spendra_control_plane.access.callers import Seen
from spendra_control_plane.api.bodies.keys import NewKey, Rotation, Scan
from spendra_control_plane.api.exact import ExactRoute
from spendra_control_plane.api.gates import may, within
from spendra_control_plane.api.paging import Paging
from spendra_control_plane.api.plane import InPlane
from spendra_control_plane.authoring import keys

router = APIRouter(prefix="/v1/keys", tags=["keys"], route_class=ExactRoute)

Sees = Annotated[Seen, within("keys:read")]
ReadsAll = Annotated[str, may("keys:read")]
Writes = Annotated[str, may("keys:write")]


@router.post("", status_code=201)
async def create_key(plane: InPlane, org_id: Writes, body: NewKey) -> dict[str, Any]:
    """`key` is in this answer and nowhere else."""
    draft = keys.Draft(
        name=body.name,
        scope=body.scope,
        environment=body.environment,
        projects=None if body.projects is None else list(dict.fromkeys(body.projects)),
        models=body.models,
        providers=body.providers,
        tools=body.tools,
        max_request_nanousd=body.max_request_usd,
        expires_at=body.expires_at,
    )
    return await keys.create(plane.publisher, org_id, draft, body.delegated_from)


@router.post("/scan")
async def scan_for_keys(plane: InPlane, org_id: ReadsAll, body: Scan) -> dict[str, Any]:
    """Which keys stand in a text, and whether they still work; nothing of it is kept."""
    items = await keys.scan(plane.pool, plane.publisher.vault, org_id, body.text)
    return {"items": items}


@router.get("")
async def list_keys(
    plane: InPlane,
    seen: Sees,
    asked: Paging,
    state: Literal["active", "paused", "revoked"] | None = None,
) -> dict[str, Any]:
    items = await keys.page(plane.pool, seen, state, asked.after(), asked.fetch)
    return asked.page(items, "id")


@router.get("/{key_id}")
async def get_key(plane: InPlane, seen: Sees, key_id: str) -> dict[str, Any]:
    return await keys.get(plane.pool, seen, key_id)


@router.post("/{key_id}/revoke")
async def revoke_key(plane: InPlane, org_id: Writes, key_id: str) -> dict[str, Any]:
    """For ever."""
    return await keys.set_state(plane.publisher, org_id, key_id, "revoked")


@router.post("/{key_id}/pause")
async def pause_key(plane: InPlane, org_id: Writes, key_id: str) -> dict[str, Any]:
    return await keys.set_state(plane.publisher, org_id, key_id, "paused")


@router.post("/{key_id}/resume")
async def resume_key(plane: InPlane, org_id: Writes, key_id: str) -> dict[str, Any]:
    return await keys.set_state(plane.publisher, org_id, key_id, "active")


@router.post("/{key_id}/rotate")
async def rotate_key(
    plane: InPlane, org_id: Writes, key_id: str, body: Rotation | None = None
) -> dict[str, Any]:
    """A new text for the same key; the old one lasts `grace_seconds` more."""
    grace_seconds = body.grace_seconds if body else 0
    return await keys.rotate(plane.publisher, org_id, key_id, grace_seconds)
