"""`/v1/budget-templates`: what each person of a tier may spend."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from spendra_control_plane.api.bodies.budgets import BudgetTemplate
from spendra_control_plane.api.exact import ExactRoute
from spendra_control_plane.api.gates import may
from spendra_control_plane.api.paging import Paging
from spendra_control_plane.api.plane import IfMatch, InPlane, tagged
from spendra_control_plane.api.routes.budgets import draft_of
from spendra_control_plane.authoring import templates

router = APIRouter(prefix="/v1/budget-templates", tags=["budgets"], route_class=ExactRoute)

Reads = Annotated[str, may("budgets:read")]
Writes = Annotated[str, may("budgets:write")]
Tier = Annotated[str, Path(min_length=1, max_length=200)]


@router.put("/{tier:path}")
async def put_budget_template(
    plane: InPlane,
    org_id: Writes,
    tier: Tier,
    body: BudgetTemplate,
    response: Response,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """Each person of the tier gets these budgets; those made before follow what changed."""
    drafts = [draft_of(budget) for budget in body.budgets]
    view = await templates.put(plane.publisher, org_id, tier, drafts, if_match)
    return tagged(response, view)


@router.get("")
async def list_budget_templates(plane: InPlane, org_id: Reads, asked: Paging) -> dict[str, Any]:
    return asked.page(await templates.page(plane.pool, org_id, asked.after(), asked.fetch), "tier")


@router.get("/{tier:path}")
async def get_budget_template(
    plane: InPlane, org_id: Reads, tier: Tier, response: Response
) -> dict[str, Any]:
    return tagged(response, await templates.get(plane.pool, org_id, tier))


@router.delete("/{tier:path}", status_code=204)
async def remove_budget_template(plane: InPlane, org_id: Writes, tier: Tier) -> Response:
    """The budgets that were made of it close."""
    await templates.remove(plane.publisher, org_id, tier)
    return Response(status_code=204)
