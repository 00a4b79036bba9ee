"""`/v1/organizations` (with the bootstrap token) and `/v1/settings`."""

from typing import Annotated, Any

from fastapi import APIRouter, Response

from spendra_control_plane.access.members import check_may_touch
from spendra_control_plane.api.bodies.organizations import NewOrganization, Settings
from spendra_control_plane.api.exact import ExactRoute
from spendra_control_plane.api.gates import Bootstrap, InCaller, may
from spendra_control_plane.api.paging import Paging
from spendra_control_plane.api.plane import IfMatch, InPlane, tagged
from spendra_control_plane.authoring import organizations
from spendra_control_plane.authoring.refusals import refuse_conflict

router = APIRouter(prefix="/v1", tags=["organizations"], route_class=ExactRoute)

Reads = Annotated[str, may("organization:read")]
Writes = Annotated[str, may("settings:write")]
Revokes = Annotated[str, may("members:write")]


@router.post("/organizations", status_code=201, dependencies=[Bootstrap])
async def create_organization(plane: InPlane, body: NewOrganization) -> dict[str, Any]:
    """Its tokens are in this answer and nowhere else."""
    return await organizations.create(plane.publisher, body.name)


@router.get("/organizations", dependencies=[Bootstrap])
async def list_organizations(plane: InPlane, asked: Paging) -> dict[str, Any]:
    return asked.page(await organizations.page(plane.pool, asked.after(), asked.fetch), "id")


@router.post("/organizations/{org_id}/admin-token", status_code=201, dependencies=[Bootstrap])
async def issue_admin_token(plane: InPlane, org_id: str) -> dict[str, Any]:
    """For an organization whose owners lost theirs; the older ones stay."""
    return await organizations.issue_admin_token(plane.pool, org_id)


@router.post("/organization/admin-tokens/revoke")
async def revoke_admin_tokens(plane: InPlane, org_id: Revokes, caller: InCaller) -> dict[str, Any]:
    """Once there is an owner: by a member who is one, with a token of their own."""
    check_may_touch(caller, ["owner"])
    if caller.member_id is None:
        refuse_conflict("An owner who is a member has to do this, with a token of their own.")
    return await organizations.revoke_admin_tokens(plane.pool, org_id)


@router.get("/settings")
async def get_settings(plane: InPlane, org_id: Reads, response: Response) -> dict[str, Any]:
    return tagged(response, await organizations.settings(plane.pool, org_id))


@router.put("/settings")
async def put_settings(
    plane: InPlane,
    org_id: Writes,
    body: Settings,
    response: Response,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    wanted = body.default_output_tokens
    view = await organizations.configure(plane.publisher, org_id, wanted, if_match)
    return tagged(response, view)
