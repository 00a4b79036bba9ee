"""`/v1/sign-in`, `/v1/domains`, `/v1/invitations`: how people come in."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from spendra_control_plane.access import domains, members, sign_in
from spendra_control_plane.api.bodies.sign_in import DOMAIN, JoiningDomain, NewInvitation, SignIn
from spendra_control_plane.api.exact import ExactRoute
from spendra_control_plane.api.gates import InCaller, may
from spendra_control_plane.api.paging import Paging
from spendra_control_plane.api.plane import InPlane

router = APIRouter(prefix="/v1", tags=["sign-in"], route_class=ExactRoute)

Reads = Annotated[str, may("members:read")]
Writes = Annotated[str, may("members:write")]
MayWrite = may("members:write")
Domain = Annotated[str, Path(max_length=253, pattern=DOMAIN)]


@router.get("/sign-in")
async def get_sign_in(plane: InPlane, org_id: Reads) -> dict[str, Any]:
    """Without its secret. `login_url` is where people begin, `redirect_uri` what it must allow."""
    return {**await sign_in.get(plane.pool, org_id), **_addresses(plane, org_id)}


@router.put("/sign-in")
async def configure_sign_in(plane: InPlane, org_id: Writes, body: SignIn) -> dict[str, Any]:
    """The provider is discovered first: it must answer."""
    provider = sign_in.Provider(
        issuer=body.issuer,
        client_id=body.client_id,
        client_secret=body.client_secret,
        trusts_email=body.trusts_email,
    )
    made = await sign_in.configure(plane.pool, plane.publisher.vault, org_id, provider)
    return {**made, **_addresses(plane, org_id)}


@router.delete("/sign-in", status_code=204)
async def remove_sign_in(plane: InPlane, org_id: Writes) -> Response:
    """Nobody signs in there any more; sessions stay until they end or are revoked."""
    await sign_in.remove(plane.pool, org_id)
    return Response(status_code=204)


@router.put("/domains/{domain}", dependencies=[MayWrite])
async def put_domain(
    plane: InPlane, caller: InCaller, domain: Domain, body: JoiningDomain
) -> dict[str, Any]:
    """`record` is what its DNS must hold before anybody joins by it."""
    return await domains.put(plane.pool, caller, domain, list(body.joins_as))


@router.get("/domains")
async def list_domains(plane: InPlane, org_id: Reads, asked: Paging) -> dict[str, Any]:
    items = await domains.page(plane.pool, org_id, asked.after(), asked.fetch)
    return asked.page(items, "domain")


@router.get("/domains/{domain}")
async def get_domain(plane: InPlane, org_id: Reads, domain: Domain) -> dict[str, Any]:
    return await domains.get(plane.pool, org_id, domain)


@router.post("/domains/{domain}/verify")
async def verify_domain(plane: InPlane, org_id: Writes, domain: Domain) -> dict[str, Any]:
    """Asks the DNS for the record."""
    return await domains.verify(plane.pool, org_id, domain, plane.dns_server)


@router.delete("/domains/{domain}", status_code=204)
async def remove_domain(plane: InPlane, org_id: Writes, domain: Domain) -> Response:
    """Nobody joins by it any more; who has joined stays."""
    await domains.remove(plane.pool, org_id, domain)
    return Response(status_code=204)


@router.post("/invitations", status_code=201, dependencies=[MayWrite])
async def invite(plane: InPlane, caller: InCaller, body: NewInvitation) -> dict[str, Any]:
    """Who signs in with that address becomes a member with these roles."""
    draft = members.Draft(
        name=body.email, kind="person", roles=list(body.roles), manages=body.manages
    )
    return await sign_in.invite(plane.pool, caller, draft, body.lasts_s)


@router.get("/invitations")
async def list_invitations(
    plane: InPlane, org_id: Reads, asked: Paging, state: sign_in.State | None = None
) -> dict[str, Any]:
    items = await sign_in.invitations(plane.pool, org_id, state, asked.after(), asked.fetch)
    return asked.page(items, "id")


@router.get("/invitations/{invitation_id}")
async def get_invitation(plane: InPlane, org_id: Reads, invitation_id: str) -> dict[str, Any]:
    return await sign_in.invitation(plane.pool, org_id, invitation_id)


@router.post("/invitations/{invitation_id}/revoke")
async def revoke_invitation(plane: InPlane, org_id: Writes, invitation_id: str) -> dict[str, Any]:
    return await sign_in.revoke(plane.pool, org_id, invitation_id)


def _addresses(plane: InPlane, org_id: str) -> dict[str, str]:
    return {
        "login_url": f"{plane.public_url}/auth/{org_id}/login",
        "redirect_uri": f"{plane.public_url}/auth/callback",
    }
