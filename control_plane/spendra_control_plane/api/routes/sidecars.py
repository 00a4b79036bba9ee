"""`/v1/sidecars` for operators; `/sidecar/v1` for the sidecars themselves."""

from typing import Annotated, Any
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from spendra_control_plane.api.gates import InSidecar, may
from spendra_control_plane.api.paging import Paging
from spendra_control_plane.api.plane import InPlane
from spendra_control_plane.authoring.refusals import refuse_invalid
from spendra_control_plane.snapshots.feed import Subscription
from spendra_control_plane.snapshots.sidecars import Acknowledgement
from spendra_control_plane.snapshots.stream import Stream

router = APIRouter(tags=["sidecars"])

Reads = Annotated[str, may("sidecars:read")]

_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
}
SidecarId = Annotated[str, Query(min_length=1, max_length=200)]


@router.get("/v1/sidecars")
async def list_sidecars(plane: InPlane, org_id: Reads, asked: Paging) -> dict[str, Any]:
    """`state`: current, behind, refused or disconnected; `age_s` since it was last heard of.

    `scope` and `providers`: what its token lets it hear of.
    """
    items = await plane.sidecars.page(org_id, asked.after(), asked.fetch)
    return asked.page(items, "id")


@router.get("/sidecar/v1/snapshots", response_class=StreamingResponse, responses=_EVENTS)
async def follow_snapshots(
    plane: InPlane, caller: InSidecar, sidecar_id: SidecarId, have: str = ""
) -> StreamingResponse:
    """Server-sent events: the current snapshot, then each new one.

    `have`: the one that the sidecar has, as `<version>:<SHA-256 of its manifest, hex>`; only
    segments that are not in it are sent.
    """
    caller.check(sidecar_id)
    stream = Stream(plane.feed, plane.reader, plane.sidecars, caller.token)
    subscription = Subscription(caller.org_id, sidecar_id, uuid4(), caller.token_id, caller.view)
    events = stream.events(subscription, have)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


@router.post("/sidecar/v1/acknowledgements")
async def acknowledge(plane: InPlane, caller: InSidecar, request: Request) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(await request.body(), type=Acknowledgement)
    except msgspec.DecodeError as error:
        detail = f"Not an acknowledgement: {error}."
        refuse_invalid(detail)
    caller.check(said.sidecar_id)
    await plane.sidecars.acknowledge(caller.org_id, said)
    if said.state == "refused":
        plane.feed.refused(caller.org_id, said.sidecar_id)
    return {"sidecar_id": said.sidecar_id, "version": said.version}
