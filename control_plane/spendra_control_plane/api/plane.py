"""What the routes are given: the parts of one running control plane, and who is asking."""

import hashlib
import hmac
import time
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, NoReturn, cast

from fastapi import Depends, Header, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from spendra_control_plane.api.exact import is_storable
from spendra_control_plane.api.metrics import Metrics
from spendra_control_plane.api.pace import Pace
from spendra_control_plane.api.repeats import claim
from spendra_control_plane.authoring import editions, organizations
from spendra_control_plane.authoring.refusals import Refusal, refuse_invalid
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
    requests: Pace
    failures: Pace


class SidecarCaller(NamedTuple):
    """`token` is its text, which seals what is sent back."""

    org_id: str
    token: str


def plane_of(request: Request) -> Plane:
    return cast("Plane", request.app.state.plane)


InPlane = Annotated[Plane, Depends(plane_of)]


_SCHEME = HTTPBearer(auto_error=False, description="`Authorization: Bearer <token>`")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_SCHEME)]


def _bearer(plane: InPlane, request: Request, credentials: Credentials) -> str:
    """The token that was sent, of a caller who may go on asking."""
    if not all(is_storable(text) for text in (request.url.path, *request.query_params.values())):
        refuse_invalid("A path or query with a NUL in it names nothing.")
    _refuse_haste(plane.failures.wait_s(_address(request), time.monotonic()), "failed sign-ins")
    if credentials is None or not credentials.credentials.strip():
        _refuse_unknown(plane, request, "Send the header 'Authorization: Bearer <token>'.")
    token = credentials.credentials.strip()
    caller = hashlib.sha256(token.encode()).hexdigest()
    _refuse_haste(plane.requests.take(caller, time.monotonic()), "requests")
    return token


Bearer = Annotated[str, Depends(_bearer)]
IdempotencyKey = Annotated[
    str | None,
    Header(max_length=200, description="of a POST: the answer to the first is given again"),
]
IfMatch = Annotated[str | None, Header(description="the ETag of the edition that is meant")]


def tagged(response: Response, view: dict[str, Any]) -> dict[str, Any]:
    """The view, with its ETag on the answer."""
    response.headers["etag"] = editions.etag(view)
    return view


def _bootstrap(plane: InPlane, request: Request, token: Bearer) -> None:
    if not _is_bootstrap(plane, token):
        detail = "Organizations are created and listed with SPENDRA_ADMIN_TOKEN only."
        _refuse_unknown(plane, request, detail)


async def _operator(
    plane: InPlane,
    request: Request,
    token: Bearer,
    idempotency_key: IdempotencyKey = None,  # noqa: ARG001 - documents the header
) -> str:
    if _is_bootstrap(plane, token):
        detail = (
            "SPENDRA_ADMIN_TOKEN only creates and lists organizations; "
            "use the organization's admin token."
        )
        raise Refusal("not_allowed", detail)
    org_id = await organizations.org_of_admin(plane.pool, token)
    if org_id is None:
        _refuse_unknown(plane, request, "This admin token is unknown or revoked.")
    await claim(request, plane.pool, plane.publisher.vault, org_id)
    return org_id


async def _sidecar(plane: InPlane, request: Request, token: Bearer) -> SidecarCaller:
    org_id = await organizations.org_of_sidecar(plane.pool, token)
    if org_id is None:
        _refuse_unknown(plane, request, "This sidecar token is unknown or revoked.")
    return SidecarCaller(org_id, token)


Bootstrap = Depends(_bootstrap)
Operator = Annotated[str, Depends(_operator)]
"""The id of the organization whose admin token was sent."""
InSidecar = Annotated[SidecarCaller, Depends(_sidecar)]


def _is_bootstrap(plane: Plane, token: str) -> bool:
    return hmac.compare_digest(token.encode(), plane.bootstrap_token.encode())


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _refuse_haste(wait_s: int, what: str) -> None:
    if wait_s:
        detail = f"Too many {what}; wait {wait_s} s."
        raise Refusal("too_many_requests", detail, retry_after_s=wait_s)


def _refuse_unknown(plane: Plane, request: Request, detail: str) -> NoReturn:
    plane.failures.take(_address(request), time.monotonic())
    raise Refusal("not_authenticated", detail)
