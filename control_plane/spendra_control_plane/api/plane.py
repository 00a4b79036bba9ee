"""What the routes are given: the parts of one running control plane."""

from dataclasses import dataclass, field
from typing import Annotated, Any, cast

from fastapi import Depends, Header, Request, Response

from spendra_control_plane.access.domains import Server
from spendra_control_plane.api.metrics import Metrics
from spendra_control_plane.api.pace import Pace
from spendra_control_plane.authoring import editions
from spendra_control_plane.snapshots.feed import Feed
from spendra_control_plane.snapshots.publish import Publisher
from spendra_control_plane.snapshots.reader import Reader
from spendra_control_plane.snapshots.sidecars import Sidecars
from spendra_control_plane.stores.postgres import Pool
from spendra_control_plane.stores.redis import Floor


@dataclass(frozen=True)
class Plane:
    pool: Pool
    floor: Floor
    publisher: Publisher
    feed: Feed
    reader: Reader
    sidecars: Sidecars
    metrics: Metrics
    public_url: str
    dns_server: Server | None
    bootstrap_token: str = field(repr=False)
    metrics_token: str = field(repr=False)
    requests: Pace
    failures: Pace


def plane_of(request: Request) -> Plane:
    return cast("Plane", request.app.state.plane)


InPlane = Annotated[Plane, Depends(plane_of)]


IfMatch = Annotated[str | None, Header(description="the ETag of the edition that is meant")]


def tagged(response: Response, view: dict[str, Any]) -> dict[str, Any]:
    """The view, with its ETag on the answer."""
    response.headers["etag"] = editions.etag(view)
    return view
