"""`/v1/reviews`: requests that wait for somebody to look at them."""

from typing import Annotated, Any

from fastapi import APIRouter

from spendra_control_plane.access.callers import Seen
from spendra_control_plane.api.bodies.policies import ReviewDecision
from spendra_control_plane.api.exact import ExactRoute
from spendra_control_plane.api.gates import InCaller, within
from spendra_control_plane.api.paging import Paging
from spendra_control_plane.api.plane import InPlane
from spendra_control_plane.authoring import reviews

router = APIRouter(prefix="/v1/reviews", tags=["policies"], route_class=ExactRoute)

Sees = Annotated[Seen, within("reviews:read")]
Decides = Annotated[Seen, within("reviews:decide")]


@router.get("")
async def list_reviews(
    plane: InPlane, seen: Sees, asked: Paging, state: reviews.State | None = None
) -> dict[str, Any]:
    items = await reviews.page(plane.pool, seen, state, asked.after(), asked.fetch)
    return asked.page(items, "id")


@router.get("/{review_id}")
async def get_review(plane: InPlane, seen: Sees, review_id: str) -> dict[str, Any]:
    return await reviews.get(plane.pool, seen, review_id)


@router.post("/{review_id}/approve")
async def approve_review(
    plane: InPlane, seen: Decides, caller: InCaller, review_id: str, body: ReviewDecision
) -> dict[str, Any]:
    """The next such request of the key goes, once, if it costs no more than this one."""
    return await reviews.decide(
        plane.pool, seen, caller, review_id, "approved", body.note, body.lasts_s
    )


@router.post("/{review_id}/deny")
async def deny_review(
    plane: InPlane, seen: Decides, caller: InCaller, review_id: str, body: ReviewDecision
) -> dict[str, Any]:
    """Such requests of the key are refused, without asking again, for `lasts_s`."""
    return await reviews.decide(
        plane.pool, seen, caller, review_id, "denied", body.note, body.lasts_s
    )
