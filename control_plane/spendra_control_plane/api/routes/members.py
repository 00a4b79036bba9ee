"""`/v1/members`, their tokens, and `/v1/me`."""

from typing import Annotated, Any

from fastapi import APIRouter, Response

from spendra_control_plane.access import members, tokens
from spendra_control_plane.api.bodies.members import EditMember, NewMember, NewToken
from spendra_control_plane.api.exact import ExactRoute
from spendra_control_plane.api.gates import InCaller, may
from spendra_control_plane.api.paging import Paging
from spendra_control_plane.api.plane import IfMatch, InPlane, tagged

router = APIRouter(prefix="/v1", tags=["members"], route_class=ExactRoute)

Reads = Annotated[str, may("members:read")]
Writes = may("members:write")


@router.get("/me")
async def get_me(caller: InCaller) -> dict[str, Any]:
    """Whose token this is, and what it may do."""
    return caller.view()


@router.post("/members", status_code=201, dependencies=[Writes])
async def create_member(plane: InPlane, caller: InCaller, body: NewMember) -> dict[str, Any]:
    draft = members.Draft(
        name=body.name, kind=body.kind, roles=list(body.roles), manages=body.manages
    )
    return await members.create(plane.pool, caller, draft)


@router.get("/members")
async def list_members(plane: InPlane, org_id: Reads, asked: Paging) -> dict[str, Any]:
    return asked.page(await members.page(plane.pool, org_id, asked.after(), asked.fetch), "id")


@router.get("/members/{member_id}")
async def get_member(
    plane: InPlane, org_id: Reads, member_id: str, response: Response
) -> dict[str, Any]:
    return tagged(response, await members.get(plane.pool, org_id, member_id))


@router.patch("/members/{member_id}", dependencies=[Writes])
async def edit_member(
    plane: InPlane,
    caller: InCaller,
    member_id: str,
    body: EditMember,
    response: Response,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """`state: suspended` stops every token of the member, from the next request on."""
    view = await members.edit(plane.pool, caller, member_id, body.given(), if_match)
    return tagged(response, view)


@router.post("/members/{member_id}/tokens", status_code=201, dependencies=[Writes])
async def create_token(
    plane: InPlane, caller: InCaller, member_id: str, body: NewToken
) -> dict[str, Any]:
    """`token` is in this answer and nowhere else."""
    return await tokens.create(plane.pool, caller, member_id, body.name, body.expires_at)


@router.get("/members/{member_id}/tokens")
async def list_tokens(
    plane: InPlane, org_id: Reads, member_id: str, asked: Paging
) -> dict[str, Any]:
    items = await tokens.page(plane.pool, org_id, member_id, asked.after(), asked.fetch)
    return asked.page(items, "id")


@router.post("/tokens/{token_id}/revoke", dependencies=[Writes])
async def revoke_token(plane: InPlane, caller: InCaller, token_id: str) -> dict[str, Any]:
    """For ever."""
    return await tokens.revoke(plane.pool, caller, token_id)
