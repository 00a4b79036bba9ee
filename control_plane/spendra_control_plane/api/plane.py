"""What the routes are given: the parts of one running control plane, and who is asking."""

import hmac
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple, NoReturn, cast

from fastapi import Depends, Request

from spendra_control_plane.api.metrics import Metrics
from spendra_control_plane.authoring import organizations
from spendra_control_plane.authoring.refusals import Refusal
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
    bootstrap_token: str = field(repr=False)


class SidecarCaller(NamedTuple):
    """`token` is its text, which seals what is sent back."""

    org_id: str
    token: str


def plane_of(request: Request) -> Plane:
    return cast("Plane", request.app.state.plane)


InPlane = Annotated[Plane, Depends(plane_of)]


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        _refuse_unknown("Send the header 'Authorization: Bearer <token>'.")
    return token.strip()


Bearer = Annotated[str, Depends(_bearer)]


def _bootstrap(plane: InPlane, token: Bearer) -> None:
    if not _is_bootstrap(plane, token):
        _refuse_unknown("Organizations are created and listed with SPENDRA_ADMIN_TOKEN only.")


async def _operator(plane: InPlane, token: Bearer) -> str:
    if _is_bootstrap(plane, token):
        detail = (
            "SPENDRA_ADMIN_TOKEN only creates and lists organizations; "
            "use the organization's admin token."
        )
        title = "Not allowed"
        raise Refusal(403, title, detail)
    org_id = await organizations.org_of_admin(plane.pool, token)
    if org_id is None:
        _refuse_unknown("This admin token is unknown or revoked.")
    return org_id


async def _sidecar(plane: InPlane, token: Bearer) -> SidecarCaller:
    org_id = await organizations.org_of_sidecar(plane.pool, token)
    if org_id is None:
        _refuse_unknown("This sidecar token is unknown or revoked.")
    return SidecarCaller(org_id, token)


Bootstrap = Depends(_bootstrap)
Operator = Annotated[str, Depends(_operator)]
"""The id of the organization whose admin token was sent."""
InSidecar = Annotated[SidecarCaller, Depends(_sidecar)]


def _is_bootstrap(plane: Plane, token: str) -> bool:
    return hmac.compare_digest(token.encode(), plane.bootstrap_token.encode())


def _refuse_unknown(detail: str) -> NoReturn:
    title = "Not authenticated"
    raise Refusal(401, title, detail)
