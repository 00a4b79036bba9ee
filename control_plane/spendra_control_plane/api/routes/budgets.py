"""`/v1/budgets`."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response

from spendra_control_plane.access.callers import Seen
from spendra_control_plane.api.bodies.budgets import EditBudget, NewBudget
from spendra_control_plane.api.exact import ExactRoute
from spendra_control_plane.api.gates import may, within
from spendra_control_plane.api.paging import Paging
from spendra_control_plane.api.plane import IfMatch, InPlane, tagged
from spendra_control_plane.authoring import budgets
from spendra_control_plane.authoring.selectors import read_selector

router = APIRouter(prefix="/v1/budgets", tags=["budgets"], route_class=ExactRoute)

Sees = Annotated[Seen, within("budgets:read")]
Writes = Annotated[str, may("budgets:write")]


@router.post("", status_code=201)
async def create_budget(plane: InPlane, org_id: Writes, body: NewBudget) -> dict[str, Any]:
    return await budgets.create(plane.publisher, org_id, draft_of(body))


def draft_of(body: NewBudget) -> budgets.Draft:
    return budgets.Draft(
        name=body.name,
        selector=read_selector(body.scope),
        period=body.period,
        timezone=body.timezone,
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        limit_nanousd=body.limit_usd,
        kind=body.kind,
        open_up_to_nanousd=body.open_up_to_usd,
        alert_at_percent=body.alert_at_percent,
    )


@router.get("")
async def list_budgets(
    plane: InPlane,
    seen: Sees,
    asked: Paging,
    state: Literal["active", "closed"] | None = "active",
) -> dict[str, Any]:
    items = await budgets.page(plane.pool, seen, state, asked.after(), asked.fetch)
    return asked.page(items, "id")


@router.get("/{budget_id}")
async def get_budget(
    plane: InPlane, seen: Sees, budget_id: str, response: Response
) -> dict[str, Any]:
    return tagged(response, await budgets.get(plane.pool, seen, budget_id))


@router.patch("/{budget_id}")
async def edit_budget(
    plane: InPlane,
    org_id: Writes,
    budget_id: str,
    body: EditBudget,
    response: Response,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """What is held stays held; the next decision meets the new limit."""
    edits = body.given()
    if "limit_usd" in edits:
        edits["limit_nanousd"] = edits.pop("limit_usd")
    if "open_up_to_usd" in edits:
        edits["open_up_to_nanousd"] = edits.pop("open_up_to_usd")
    view = await budgets.edit(plane.publisher, org_id, budget_id, edits, if_match)
    return tagged(response, view)


@router.delete("/{budget_id}")
async def close_budget(
    plane: InPlane, org_id: Writes, budget_id: str, if_match: IfMatch = None
) -> dict[str, Any]:
    """It stops counting; its history stays."""
    return await budgets.close(plane.publisher, org_id, budget_id, if_match)
