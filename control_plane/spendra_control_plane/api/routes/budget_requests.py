"""`/v1/budget-requests`."""

from typing import Annotated, Any

from fastapi import APIRouter

from spendra_control_plane.access.callers import Seen
from spendra_control_plane.api.bodies.budgets import BudgetDecision, NewBudgetRequest
from spendra_control_plane.api.exact import ExactRoute
from spendra_control_plane.api.gates import InCaller, may, within
from spendra_control_plane.api.paging import Paging
from spendra_control_plane.api.plane import InPlane
from spendra_control_plane.authoring import budget_requests

router = APIRouter(prefix="/v1/budget-requests", tags=["budgets"], route_class=ExactRoute)

Sees = Annotated[Seen, within("budgets:read")]
Asks = Annotated[Seen, within("budgets:ask")]
Writes = Annotated[str, may("budgets:write")]


@router.post("", status_code=201)
async def ask_for_budget(
    plane: InPlane, seen: Asks, caller: InCaller, body: NewBudgetRequest
) -> dict[str, Any]:
    """Of a budget that the caller sees."""
    return await budget_requests.ask(
        plane.pool, seen, caller.actor, body.budget_id, body.limit_usd, body.reason, body.lasts_s
    )


@router.get("")
async def list_budget_requests(
    plane: InPlane, seen: Sees, asked: Paging, state: budget_requests.State | None = None
) -> dict[str, Any]:
    items = await budget_requests.page(plane.pool, seen, state, asked.after(), asked.fetch)
    return asked.page(items, "id")


@router.get("/{request_id}")
async def get_budget_request(plane: InPlane, seen: Sees, request_id: str) -> dict[str, Any]:
    return await budget_requests.get(plane.pool, seen, request_id)


@router.post("/{request_id}/approve")
async def approve_budget_request(
    plane: InPlane, _: Writes, caller: InCaller, request_id: str, body: BudgetDecision
) -> dict[str, Any]:
    """The budget has the new limit when this is answered."""
    return await budget_requests.decide(plane.publisher, caller, request_id, "approved", body.note)


@router.post("/{request_id}/deny")
async def deny_budget_request(
    plane: InPlane, _: Writes, caller: InCaller, request_id: str, body: BudgetDecision
) -> dict[str, Any]:
    return await budget_requests.decide(plane.publisher, caller, request_id, "denied", body.note)


@router.post("/{request_id}/withdraw")
async def withdraw_budget_request(
    plane: InPlane, seen: Asks, caller: InCaller, request_id: str
) -> dict[str, Any]:
    return await budget_requests.withdraw(plane.pool, seen, caller, request_id)
