"""Who may pass: tokens, capabilities, pace. Every route under `/v1` has one gate."""

import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, NoReturn

from fastapi import Depends, Header, Request
from fastapi.dependencies.models import Dependant
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from spendra_control_plane.access import sidecar_tokens
from spendra_control_plane.access.callers import Caller, Seen, caller_of, reach
from spendra_control_plane.access.capabilities import may_everywhere, may_within
from spendra_control_plane.access.sidecar_tokens import Holder
from spendra_control_plane.api.bodies.words import check_known
from spendra_control_plane.api.exact import is_storable
from spendra_control_plane.api.plane import InPlane, Plane
from spendra_control_plane.api.repeats import claim
from spendra_control_plane.authoring.refusals import Refusal, refuse_invalid
from spendra_control_plane.snapshots.views import View
from spendra_control_plane.stores.acting import Acting, act_as

SESSION_COOKIE = "spendra_session"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_SCHEME = HTTPBearer(auto_error=False, description="`Authorization: Bearer <token>`")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_SCHEME)]
IdempotencyKey = Annotated[
    str | None,
    Header(max_length=200, description="of a POST: the answer to the first is given again"),
]


Reason = Annotated[
    str | None,
    Header(
        alias="x-audit-reason",
        max_length=500,
        pattern=r"^[ -~]*$",
        description="why, for the audit of what is changed",
    ),
]


class SidecarCaller(NamedTuple):
    """`token` is its text, which seals what is sent back; `sidecar_id` None: any sidecar's."""

    org_id: str
    token: str
    token_id: str
    sidecar_id: str | None
    view: View

    def check(self, sidecar_id: str) -> None:
        """Raises Refusal for another sidecar than the token's."""
        if self.sidecar_id not in (None, sidecar_id):
            detail = f"This token is of the sidecar {self.sidecar_id!r}, not of {sidecar_id!r}."
            raise Refusal("not_allowed", detail)


def _check_query(request: Request) -> None:
    """A name that is not known would leave a question wider than it was meant. Raises Refusal."""
    asked = request.query_params
    known = sorted(_names_in_query(request.scope["route"].dependant)) if asked else []
    for name in asked:
        if not known:
            refuse_invalid(f"{name}: nothing is asked in the query here.")
        try:
            check_known(name, known, "parameter")
        except ValueError as error:
            refuse_invalid(f"{error}.")


def _names_in_query(dependant: Dependant) -> set[str]:
    own = {field.alias for field in dependant.query_params}
    return own.union(*(_names_in_query(each) for each in dependant.dependencies))


def _visitor(plane: InPlane, request: Request) -> None:
    """Somebody who has not failed too often of late."""
    if not all(is_storable(text) for text in (request.url.path, *request.query_params.values())):
        refuse_invalid("A path or query with a NUL in it names nothing.")
    _refuse_haste(plane.failures.wait_s(_address(request), time.monotonic()), "failed sign-ins")


Visitor = Depends(_visitor)


def _bearer(
    plane: InPlane, request: Request, credentials: Credentials, _visitor: Annotated[None, Visitor]
) -> str:
    """The token that was sent, of a caller who may go on asking."""
    token = (credentials.credentials if credentials else _session(plane, request)).strip()
    if not token:
        _refuse_unknown(plane, request, "Send the header 'Authorization: Bearer <token>'.")
    sender = hashlib.sha256(token.encode()).hexdigest()
    _refuse_haste(plane.requests.take(sender, time.monotonic()), "requests")
    return token


Bearer = Annotated[str, Depends(_bearer)]


def _session(plane: Plane, request: Request) -> str:
    """The token in a browser's cookie; another site's page cannot change anything with it."""
    token = request.cookies.get(SESSION_COOKIE, "")
    is_ours = request.headers.get("origin") == plane.public_url
    if token and request.method not in _SAFE and not is_ours:
        detail = f"Changes with a browser's session come from a page of {plane.public_url}."
        raise Refusal("not_allowed", detail)
    return token


async def _bootstrap(plane: InPlane, request: Request, token: Bearer) -> None:
    if not _is_bootstrap(plane, token):
        detail = "Organizations are created and listed with SPENDRA_ADMIN_TOKEN only."
        _refuse_unknown(plane, request, detail)
    _check_query(request)
    act_as(Acting("bootstrap token", request_id=request.state.request_id))


async def _caller(plane: InPlane, request: Request, token: Bearer, reason: Reason = None) -> Caller:
    if _is_bootstrap(plane, token):
        detail = (
            "SPENDRA_ADMIN_TOKEN only creates and lists organizations; "
            "use the organization's admin token or a member's."
        )
        raise Refusal("not_allowed", detail)
    caller = await caller_of(plane.pool, token)
    if caller is None:
        _refuse_unknown(plane, request, "This token is unknown, expired or revoked.")
    _check_query(request)
    said = (caller.token_id, request.state.request_id, reason or "")
    act_as(Acting(caller.actor, caller.org_id, *said))
    return caller


async def _holder(plane: InPlane, request: Request, token: Bearer) -> Holder:
    found = await sidecar_tokens.holder(plane.pool, token)
    if found is None:
        _refuse_unknown(plane, request, "This sidecar token is unknown, expired or revoked.")
    who = f"sidecar {found.sidecar_id}" if found.sidecar_id else found.kind
    act_as(Acting(who, found.org_id, found.token_id, request.state.request_id))
    return found


InHolder = Annotated[Holder, Depends(_holder)]


async def _sidecar(token: Bearer, found: InHolder) -> SidecarCaller:
    if found.kind != "sidecar":
        detail = "With this token a sidecar only enrols; what it gets then is its own."
        raise Refusal("not_allowed", detail)
    return SidecarCaller(found.org_id, token, found.token_id, found.sidecar_id, found.view)


async def _enrolment(found: InHolder) -> Holder:
    if found.kind != "enrolment":
        raise Refusal("not_allowed", "This token is a sidecar's own; it enrols nobody.")
    return found


InEnrolment = Annotated[Holder, Depends(_enrolment)]
Bootstrap = Depends(_bootstrap)
InCaller = Annotated[Caller, Depends(_caller)]
InSidecar = Annotated[SidecarCaller, Depends(_sidecar)]


@dataclass(frozen=True)
class Gate:
    """Passes who has the capability over the whole organization; gives its id."""

    capability: str
    is_scoped = False

    async def __call__(
        self,
        plane: InPlane,
        request: Request,
        caller: InCaller,
        idempotency_key: IdempotencyKey = None,
    ) -> str:
        if not may_everywhere(caller.roles, self.capability):
            _refuse_role(caller, self.capability)
        if request.method == "POST" and idempotency_key:
            await claim(request, plane.pool, plane.publisher.vault, caller)
        return caller.org_id


@dataclass(frozen=True)
class ScopedGate:
    """Passes who has the capability at all; gives what of the organization is theirs."""

    capability: str
    is_scoped = True

    async def __call__(self, plane: InPlane, caller: InCaller) -> Seen:
        if not may_within(caller.roles, self.capability):
            _refuse_role(caller, self.capability)
        return Seen(caller.org_id, await reach(plane.pool, caller, self.capability))


def may(capability: str) -> Any:
    """A dependency: the organization's id, for who has the capability over all of it."""
    return Depends(Gate(capability))


def within(capability: str) -> Any:
    """A dependency: Seen, for who has the capability over all or only over what is theirs."""
    return Depends(ScopedGate(capability))


def count_failure(plane: Plane, request: Request) -> None:
    """Too many of them, and this address has to wait."""
    plane.failures.take(_address(request), time.monotonic())


def _is_bootstrap(plane: Plane, token: str) -> bool:
    return hmac.compare_digest(token.encode(), plane.bootstrap_token.encode())


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _refuse_haste(wait_s: int, what: str) -> None:
    if wait_s:
        detail = f"Too many {what}; wait {wait_s} s."
        raise Refusal("too_many_requests", detail, retry_after_s=wait_s)


def _refuse_role(caller: Caller, capability: str) -> NoReturn:
    roles = ", ".join(caller.roles)
    raise Refusal("not_allowed", f"This needs {capability!r}, which {roles} does not give.")


def _refuse_unknown(plane: Plane, request: Request, detail: str) -> NoReturn:
    count_failure(plane, request)
    raise Refusal("not_authenticated", detail)
