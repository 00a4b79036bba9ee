"""`/v1/providers`. Credentials go in and never come out."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from spendra_control_plane.api.bodies.providers import ProviderBody
from spendra_control_plane.api.exact import ExactRoute
from spendra_control_plane.api.gates import may
from spendra_control_plane.api.paging import Paging
from spendra_control_plane.api.plane import IfMatch, InPlane, tagged
from spendra_control_plane.authoring import provider_tests, providers
from spendra_control_plane.authoring.selectors import read_selector

router = APIRouter(prefix="/v1/providers", tags=["providers"], route_class=ExactRoute)

Reads = Annotated[str, may("providers:read")]
Writes = Annotated[str, may("providers:write")]

Provider = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]


@router.put("/{provider}")
async def put_provider(
    plane: InPlane,
    org_id: Writes,
    provider: Provider,
    body: ProviderBody,
    response: Response,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """Without `credential` and `credential_file` the stored one stays; null takes it away."""
    kind = body.kind_of(provider)
    draft = providers.Draft(
        kind=kind.name,
        base_url=body.base_url or providers.origin(kind),
        keeps_credential=not {"credential", "credential_file"} & body.given().keys(),
        credential=body.credential or "",
        credential_file=body.credential_file,
        scope=read_selector(body.scope),
        models=body.models,
        fallbacks=[fallback.model_dump() for fallback in body.fallbacks],
        parameters={str(name): value for name, value in body.parameters.items()},
        model_names=body.model_names,
        ceilings_nanousd=body.unmetered_ceiling_usd,
    )
    view = await providers.put(plane.publisher, org_id, provider, draft, if_match)
    return tagged(response, view)


@router.get("")
async def list_providers(plane: InPlane, org_id: Reads, asked: Paging) -> dict[str, Any]:
    items = await providers.page(plane.pool, org_id, asked.after(), asked.fetch)
    return asked.page(items, "provider")


@router.get("/{provider}")
async def get_provider(
    plane: InPlane, org_id: Reads, provider: Provider, response: Response
) -> dict[str, Any]:
    return tagged(response, await providers.get(plane.pool, org_id, provider))


@router.post("/{provider}/test")
async def test_provider(plane: InPlane, org_id: Writes, provider: Provider) -> dict[str, Any]:
    """Asks it for its models with the stored credential, from the control plane."""
    return await provider_tests.test(plane.pool, plane.publisher.vault, org_id, provider)


@router.delete("/{provider}")
async def remove_provider(
    plane: InPlane, org_id: Writes, provider: Provider, if_match: IfMatch = None
) -> dict[str, Any]:
    return await providers.remove(plane.publisher, org_id, provider, if_match)
