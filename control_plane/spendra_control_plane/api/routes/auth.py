"""`/auth`: where a browser signs in at its organization's provider, and comes back."""

import base64
import binascii
import hmac
import time
from typing import Final

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from spendra.sealing import SealError
from spendra_control_plane.access import callers, openid, sign_in, tokens
from spendra_control_plane.api.exact import ExactRoute
from spendra_control_plane.api.gates import SESSION_COOKIE, Visitor, count_failure
from spendra_control_plane.api.plane import InPlane, Plane
from spendra_control_plane.authoring.refusals import Refusal, refuse_invalid, refuse_missing
from spendra_control_plane.stores.acting import Acting, act_as

router = APIRouter(
    prefix="/auth", route_class=ExactRoute, include_in_schema=False, dependencies=[Visitor]
)
_COOKIE: Final = "spendra_sign_in"
_LASTS_S: Final = 600
_PURPOSE: Final = "sign-in under way"
_LONGEST_RETURN: Final = 2000


class _UnderWay(msgspec.Struct, frozen=True):
    """What the browser keeps, sealed, while it is at the provider."""

    org_id: str
    secrets: openid.Secrets
    return_to: str
    ends_at: float


@router.get("/{org_id}/login")
async def login(
    plane: InPlane, request: Request, org_id: str, return_to: str = "/v1/me"
) -> Response:
    """To the organization's provider. `return_to` is a path here."""
    if not _is_local(return_to):
        refuse_invalid("return_to: give a path of this address, such as /.")
    provider = await _provider(plane, request, org_id)
    secrets = sign_in.secrets()
    try:
        url = await openid.begin(provider, secrets)
    except openid.OpenIdError as error:
        raise Refusal("sign_in_failed", f"Signing in cannot begin: {error}.") from error
    under_way = _UnderWay(org_id, secrets, return_to, time.time() + _LASTS_S)
    answer = RedirectResponse(url, 302, {"cache-control": "no-store"})
    _set(plane, answer, _COOKIE, _sealed(plane, under_way), _LASTS_S)
    return answer


@router.get("/callback")
async def callback(
    plane: InPlane, request: Request, state: str = "", code: str = "", error: str = ""
) -> Response:
    """Back from the provider, with a session."""
    under_way = _opened(plane, request.cookies.get(_COOKIE, ""))
    if under_way is None or not hmac.compare_digest(
        state.encode(), under_way.secrets.state.encode()
    ):
        count_failure(plane, request)
        detail = "This sign-in was not begun in this browser, or too long ago; begin again."
        raise Refusal("sign_in_failed", detail)
    if error or not code:
        raise Refusal("sign_in_failed", f"The provider says: {error[:200] or 'no code'}.")
    provider = await _provider(plane, request, under_way.org_id)
    try:
        person = await openid.finish(provider, under_way.secrets, code)
    except openid.OpenIdError as failed:
        count_failure(plane, request)
        raise Refusal("sign_in_failed", f"Signing in failed: {failed}.") from failed
    made = await sign_in.admit(plane.pool, under_way.org_id, provider.issuer, person)
    answer = RedirectResponse(under_way.return_to, 303, {"cache-control": "no-store"})
    _set(plane, answer, SESSION_COOKIE, made["token"], int(sign_in.SESSION.total_seconds()))
    answer.delete_cookie(_COOKIE, path="/auth")
    return answer


@router.post("/logout", status_code=204)
async def logout(plane: InPlane, request: Request) -> Response:
    """Revokes the session that the cookie holds."""
    token = request.cookies.get(SESSION_COOKIE, "")
    caller = await callers.caller_of(plane.pool, token) if token else None
    if caller is not None and request.headers.get("origin") == plane.public_url:
        act_as(Acting(caller.actor, caller.org_id, caller.token_id, request.state.request_id))
        await tokens.revoke(plane.pool, caller, caller.token_id)
    answer = Response(status_code=204)
    answer.delete_cookie(SESSION_COOKIE, path="/")
    return answer


async def _provider(plane: Plane, request: Request, org_id: str) -> openid.Registered:
    act_as(Acting("sign-in", org_id, request_id=request.state.request_id))
    redirect_uri = f"{plane.public_url}/auth/callback"
    found = await sign_in.registered(plane.pool, plane.publisher.vault, org_id, redirect_uri)
    if found is None:
        count_failure(plane, request)
        refuse_missing("sign-in provider", org_id)
    return found


def _is_local(path: str) -> bool:
    """A path of this address; two slashes, of either kind, lead to another host."""
    is_path = path.startswith("/") and not path.startswith(("//", "/\\"))
    return is_path and len(path) <= _LONGEST_RETURN and path.isprintable()


def _set(plane: Plane, answer: Response, name: str, value: str, lasts_s: int) -> None:
    """Lax: the way back from the provider is another site's link to here."""
    path = "/auth" if name == _COOKIE else "/"
    is_secure = plane.public_url.startswith("https:")
    answer.set_cookie(
        name, value, lasts_s, path=path, secure=is_secure, httponly=True, samesite="lax"
    )


def _sealed(plane: Plane, under_way: _UnderWay) -> str:
    sealed = plane.publisher.vault.seal("", _PURPOSE, msgspec.json.encode(under_way))
    return base64.urlsafe_b64encode(sealed).decode()


def _opened(plane: Plane, cookie: str) -> _UnderWay | None:
    """None: there is none, it is not ours, or it is too old."""
    try:
        sealed = base64.urlsafe_b64decode(cookie)
        under_way = msgspec.json.decode(
            plane.publisher.vault.unseal("", _PURPOSE, sealed), type=_UnderWay
        )
    except (binascii.Error, ValueError, SealError):
        return None
    return under_way if time.time() < under_way.ends_at else None
