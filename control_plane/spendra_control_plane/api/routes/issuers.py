"""`/v1/issuers`: whose JSON Web Tokens stand for a key."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from spendra_control_plane.api.bodies.issuers import IssuerBody
from spendra_control_plane.api.exact import ExactRoute
from spendra_control_plane.api.gates import may
from spendra_control_plane.api.paging import Paging
from spendra_control_plane.api.plane import InPlane
from spendra_control_plane.authoring import issuers

router = APIRouter(prefix="/v1/issuers", tags=["keys"], route_class=ExactRoute)

Reads = Annotated[str, may("keys:read")]
Writes = Annotated[str, may("keys:write")]
Name = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]


@router.put("/{name}")
async def put_issuer(
    plane: InPlane, org_id: Writes, name: Name, body: IssuerBody
) -> dict[str, Any]:
    """Without `jwks_url` the issuer is asked for its configuration (OpenID Connect Discovery)."""
    draft = issuers.Draft(
        issuer=body.issuer,
        audience=body.audience,
        jwks_url=body.jwks_url,
        key_id=body.key_id,
        claims={str(dimension): claim for dimension, claim in body.claims.items()},
    )
    return await issuers.put(plane.publisher, org_id, name, draft)


@router.get("")
async def list_issuers(plane: InPlane, org_id: Reads, asked: Paging) -> dict[str, Any]:
    return asked.page(await issuers.page(plane.pool, org_id, asked.after(), asked.fetch), "name")


@router.get("/{name}")
async def get_issuer(plane: InPlane, org_id: Reads, name: Name) -> dict[str, Any]:
    return await issuers.get(plane.pool, org_id, name)


@router.delete("/{name}", status_code=204)
async def remove_issuer(plane: InPlane, org_id: Writes, name: Name) -> Response:
    """Its tokens are refused from the next request on."""
    await issuers.remove(plane.publisher, org_id, name)
    return Response(status_code=204)
