"""`/v1/channels`, `/v1/subscriptions`, `/v1/notices` and `/v1/deliveries`."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response

from spendra_control_plane.api.bodies.alerts import EditChannel, NewChannel, NewSubscription
from spendra_control_plane.api.exact import ExactRoute
from spendra_control_plane.api.gates import InCaller, may
from spendra_control_plane.api.paging import Paging
from spendra_control_plane.api.plane import IfMatch, InPlane, tagged
from spendra_control_plane.notices import channels, outbox, subscriptions

router = APIRouter(prefix="/v1", tags=["alerts"], route_class=ExactRoute)

Reads = Annotated[str, may("alerts:read")]
Writes = Annotated[str, may("alerts:write")]
Name = Annotated[str | None, Query(max_length=200)]


@router.post("/channels", status_code=201)
async def create_channel(plane: InPlane, org_id: Writes, body: NewChannel) -> dict[str, Any]:
    """A webhook's `signing_secret` is in this answer and nowhere else."""
    draft = channels.Draft(name=body.name, kind=body.kind, address=body.address)
    return await channels.create(plane.pool, plane.publisher.vault, org_id, draft)


@router.get("/channels")
async def list_channels(
    plane: InPlane,
    org_id: Reads,
    asked: Paging,
    state: Literal["active", "paused", "closed"] | None = None,
) -> dict[str, Any]:
    items = await channels.page(plane.pool, org_id, state, asked.after(), asked.fetch)
    return asked.page(items, "id")


@router.get("/channels/{channel_id}")
async def get_channel(
    plane: InPlane, org_id: Reads, channel_id: str, response: Response
) -> dict[str, Any]:
    return tagged(response, await channels.get(plane.pool, org_id, channel_id))


@router.patch("/channels/{channel_id}")
async def edit_channel(
    plane: InPlane,
    org_id: Writes,
    channel_id: str,
    body: EditChannel,
    response: Response,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """While it is paused nothing is raised for it; a webhook keeps its secret."""
    vault = plane.publisher.vault
    view = await channels.edit(plane.pool, vault, org_id, channel_id, body.given(), if_match)
    return tagged(response, view)


@router.delete("/channels/{channel_id}")
async def close_channel(
    plane: InPlane, org_id: Writes, channel_id: str, if_match: IfMatch = None
) -> dict[str, Any]:
    """Its subscriptions end; what it was sent stays on record."""
    return await channels.close(plane.pool, org_id, channel_id, if_match)


@router.post("/channels/{channel_id}/test", status_code=202)
async def test_channel(
    plane: InPlane, org_id: Writes, caller: InCaller, channel_id: str
) -> dict[str, Any]:
    """Sends it one notice; the answer is the delivery to watch."""
    return await outbox.try_channel(plane.pool, org_id, channel_id, caller.actor)


@router.post("/subscriptions", status_code=201)
async def create_subscription(
    plane: InPlane, org_id: Writes, body: NewSubscription
) -> dict[str, Any]:
    return await subscriptions.create(
        plane.pool, org_id, body.channel_id, body.events, body.budgets
    )


@router.get("/subscriptions")
async def list_subscriptions(
    plane: InPlane, org_id: Reads, asked: Paging, channel_id: Name = None
) -> dict[str, Any]:
    items = await subscriptions.page(plane.pool, org_id, channel_id, asked.after(), asked.fetch)
    return asked.page(items, "id")


@router.get("/subscriptions/{subscription_id}")
async def get_subscription(plane: InPlane, org_id: Reads, subscription_id: str) -> dict[str, Any]:
    return await subscriptions.get(plane.pool, org_id, subscription_id)


@router.delete("/subscriptions/{subscription_id}")
async def remove_subscription(
    plane: InPlane, org_id: Writes, subscription_id: str
) -> dict[str, Any]:
    return await subscriptions.remove(plane.pool, org_id, subscription_id)


@router.get("/notices")
async def list_notices(
    plane: InPlane, org_id: Reads, asked: Paging, event: Name = None
) -> dict[str, Any]:
    """What was raised, newest first, whether or not anybody subscribed to it."""
    items = await outbox.page(plane.pool, org_id, event, asked.place(), asked.fetch)
    return asked.page(items, "raised_at", "id")


@router.get("/deliveries")
async def list_deliveries(
    plane: InPlane,
    org_id: Reads,
    asked: Paging,
    state: Literal["waiting", "delivered", "dead"] | None = None,
    channel_id: Name = None,
    notice_id: UUID | None = None,
) -> dict[str, Any]:
    """What was sent where, newest first."""
    wanted = (state, channel_id, notice_id)
    items = await outbox.deliveries(plane.pool, org_id, wanted, asked.place(), asked.fetch)
    return asked.page(items, "created_at", "id")


@router.get("/deliveries/{delivery_id}")
async def get_delivery(plane: InPlane, org_id: Reads, delivery_id: UUID) -> dict[str, Any]:
    return await outbox.delivery(plane.pool, org_id, delivery_id)


@router.post("/deliveries/{delivery_id}/replay", status_code=202)
async def replay_delivery(plane: InPlane, org_id: Writes, delivery_id: UUID) -> dict[str, Any]:
    """Sends it once more, under its old id, dead or delivered."""
    return await outbox.replay(plane.pool, org_id, delivery_id)
