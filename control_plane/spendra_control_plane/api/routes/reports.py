"""What the ledger shows: spend of a budget, a decision's trail, what is held, what was booked."""

import time
from typing import Annotated, Any

from fastapi import APIRouter

from spendra_control_plane.access.callers import Seen
from spendra_control_plane.api.gates import within
from spendra_control_plane.api.paging import Paging
from spendra_control_plane.api.plane import InPlane
from spendra_control_plane.api.questions import Asks, AsksSpend
from spendra_control_plane.reporting import decisions, ledger, reservations, rollups
from spendra_control_plane.reporting.spend import spend, windows

router = APIRouter(prefix="/v1", tags=["reports"])

Sees = Annotated[Seen, within("spend:read")]
SeesBudgets = Annotated[Seen, within("budgets:read")]


@router.get("/budgets/{budget_id}/spend")
async def budget_spend(plane: InPlane, seen: SeesBudgets, budget_id: str) -> dict[str, Any]:
    """Of the current window, as the system of record knows it."""
    return await spend(plane.pool, seen, budget_id, time.time_ns() // 1_000_000)


@router.get("/budgets/{budget_id}/windows")
async def budget_windows(
    plane: InPlane, seen: SeesBudgets, budget_id: str, asked: Paging
) -> dict[str, Any]:
    """Each window that something was spent in, newest first."""
    items = await windows(plane.pool, seen, budget_id, asked.moment(), asked.fetch)
    return asked.page(items, "start")


@router.get("/spend")
async def get_spend(plane: InPlane, seen: Sees, asks: AsksSpend) -> dict[str, Any]:
    """Sums of whole hours, by a dimension or by time; up to date as of `whole_at`."""
    return await rollups.spend(plane.pool, seen, asks)


@router.get("/decisions/{decision_id}")
async def get_decision(plane: InPlane, seen: Sees, decision_id: str) -> dict[str, Any]:
    return await decisions.decision(plane.pool, seen, decision_id)


@router.get("/reservations")
async def list_reservations(
    plane: InPlane, seen: Sees, asked: Paging, state: reservations.State | None = None
) -> dict[str, Any]:
    """What is held now, oldest first. `state=lost`: what sidecars that died left behind."""
    items = await reservations.page(plane.pool, seen, state, asked.after_uuid(), asked.fetch)
    return asked.page(items, "id")


@router.get("/ledger")
async def list_ledger(plane: InPlane, seen: Sees, asked: Paging, asks: Asks) -> dict[str, Any]:
    """Newest first, half-open in time by when the money was reserved."""
    items = await ledger.page(plane.pool, seen, asks, asked.fetch)
    return asked.page(items, "reserved_at", "reservation_id")
