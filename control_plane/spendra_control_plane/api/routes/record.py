"""`/v1/adjustments`, ending lost reservations, and the rule for them."""

from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter

from spendra_control_plane.api.bodies.record import (
    LostRule,
    NewAdjustment,
    PostLost,
    ReleaseLost,
)
from spendra_control_plane.api.exact import ExactRoute
from spendra_control_plane.api.gates import InCaller, may
from spendra_control_plane.api.paging import Paging
from spendra_control_plane.api.plane import InPlane
from spendra_control_plane.record import adjustments, lost, repairs

router = APIRouter(prefix="/v1", tags=["record"], route_class=ExactRoute)

Reads = Annotated[str, may("spend:read")]
Writes = Annotated[str, may("record:write")]


@router.post("/adjustments", status_code=201)
async def book_adjustment(
    plane: InPlane, org_id: Writes, caller: InCaller, body: NewAdjustment
) -> dict[str, Any]:
    """Never an edit: a booking of its own, which the budgets follow."""
    wanted = adjustments.Correction(
        id=body.id or uuid4(),
        reason=body.reason,
        decision_id=body.decision_id,
        reservation_id=body.reservation_id,
        account_id=body.account_id,
        amount_nanousd=body.amount_usd,
        cost_nanousd=body.cost_usd,
        cost_center=body.cost_center or "unassigned",
        provider=body.provider or "unassigned",
    )
    return await adjustments.book(plane.pool, org_id, wanted, caller.actor)


@router.get("/adjustments")
async def list_adjustments(plane: InPlane, org_id: Reads, asked: Paging) -> dict[str, Any]:
    """Newest first."""
    items = await adjustments.page(plane.pool, org_id, asked.place(), asked.fetch)
    return asked.page(items, "booked_at", "id")


@router.post("/reservations/{reservation_id}/release")
async def release_lost(
    plane: InPlane, org_id: Writes, caller: InCaller, reservation_id: UUID, body: ReleaseLost
) -> dict[str, Any]:
    """What it held is free again at once. What comes later all the same is booked."""
    return await lost.end(plane.pool, org_id, reservation_id, None, body.reason, caller.actor)


@router.post("/reservations/{reservation_id}/post")
async def post_lost(
    plane: InPlane, org_id: Writes, caller: InCaller, reservation_id: UUID, body: PostLost
) -> dict[str, Any]:
    """At an amount that is known from elsewhere, such as the provider's own records."""
    return await lost.end(
        plane.pool, org_id, reservation_id, body.amount_usd, body.reason, caller.actor
    )


@router.get("/lost-endings")
async def list_lost_endings(plane: InPlane, org_id: Reads, asked: Paging) -> dict[str, Any]:
    """Which lost reservations operators ended, who, and why; newest first."""
    items = await lost.endings(plane.pool, org_id, asked.place(), asked.fetch)
    return asked.page(items, "ended_at", "reservation_id")


@router.get("/reconciliations")
async def list_reconciliations(plane: InPlane, org_id: Reads, asked: Paging) -> dict[str, Any]:
    """When Redis was found to differ from Postgres, in what, and was rebuilt; newest first."""
    items = await repairs.page(plane.pool, org_id, asked.moment(), asked.fetch)
    return asked.page(items, "reconciled_at")


@router.get("/settings/lost")
async def get_lost_rule(plane: InPlane, org_id: Reads) -> dict[str, Any]:
    return await lost.rule(plane.pool, org_id)


@router.put("/settings/lost")
async def put_lost_rule(plane: InPlane, org_id: Writes, body: LostRule) -> dict[str, Any]:
    return await lost.set_rule(plane.pool, org_id, body.rule, body.after_s)
