"""`/v1/sidecar-tokens` for operators, and how a sidecar gets a token of its own."""

from typing import Annotated, Any

from fastapi import APIRouter

from spendra_control_plane.access import sidecar_tokens
from spendra_control_plane.api.bodies.sidecars import Enrolment, NewSidecarToken
from spendra_control_plane.api.exact import ExactRoute
from spendra_control_plane.api.gates import InEnrolment, may
from spendra_control_plane.api.paging import Paging
from spendra_control_plane.api.plane import InPlane
from spendra_control_plane.authoring.selectors import read_selector

router = APIRouter(tags=["sidecars"], route_class=ExactRoute)

Reads = Annotated[str, may("sidecars:read")]
Writes = Annotated[str, may("sidecars:write")]


@router.post("/v1/sidecar-tokens", status_code=201)
async def create_sidecar_token(
    plane: InPlane, org_id: Writes, body: NewSidecarToken
) -> dict[str, Any]:
    """`token` is in this answer and nowhere else."""
    draft = sidecar_tokens.Draft(
        name=body.name, kind=body.kind, sidecar_id=body.sidecar_id, expires_at=body.expires_at,
        scope=read_selector(body.scope), providers=body.providers,
    )  # fmt: skip
    return await sidecar_tokens.create(plane.pool, org_id, draft)


@router.get("/v1/sidecar-tokens")
async def list_sidecar_tokens(plane: InPlane, org_id: Reads, asked: Paging) -> dict[str, Any]:
    items = await sidecar_tokens.page(plane.pool, org_id, asked.after(), asked.fetch)
    return asked.page(items, "id")


@router.post("/v1/sidecar-tokens/{token_id}/revoke")
async def revoke_sidecar_token(plane: InPlane, org_id: Writes, token_id: str) -> dict[str, Any]:
    """For ever. Streams that were opened with it end within two seconds."""
    return await sidecar_tokens.revoke(plane.pool, org_id, token_id)


@router.post("/sidecar/v1/enrolments", status_code=201)
async def enrol(plane: InPlane, by: InEnrolment, body: Enrolment) -> dict[str, Any]:
    """A token of the sidecar's own; the one that it had is revoked."""
    return await sidecar_tokens.enrol(plane.pool, by, body.sidecar_id)
