"""`/v1/organization`: the caller's own, and its kill switch."""

from typing import Annotated, Any

from fastapi import APIRouter

from spendra_control_plane.api.bodies.organizations import Freeze
from spendra_control_plane.api.exact import ExactRoute
from spendra_control_plane.api.gates import may
from spendra_control_plane.api.plane import InPlane
from spendra_control_plane.authoring import freezing

router = APIRouter(prefix="/v1/organization", tags=["organizations"], route_class=ExactRoute)

Reads = Annotated[str, may("organization:read")]
Writes = Annotated[str, may("organization:freeze")]


@router.get("")
async def get_organization(plane: InPlane, org_id: Reads) -> dict[str, Any]:
    return await freezing.state(plane.pool, org_id)


@router.post("/freeze")
async def freeze(plane: InPlane, org_id: Writes, body: Freeze | None = None) -> dict[str, Any]:
    """From the next call on, sidecars refuse every request."""
    reason = None if body is None else body.reason
    return await freezing.freeze(plane.pool, plane.floor, org_id, reason)


@router.post("/unfreeze")
async def unfreeze(plane: InPlane, org_id: Writes) -> dict[str, Any]:
    return await freezing.unfreeze(plane.pool, plane.floor, org_id)
