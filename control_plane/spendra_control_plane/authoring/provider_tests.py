"""Whether a provider takes a credential: it is asked for its models, which costs nothing."""

import time
from typing import Any, Final, NamedTuple

import httpx

from spendra.providers import Operation, header_of, row
from spendra_control_plane.authoring import providers
from spendra_control_plane.stores.postgres import Pool, Row
from spendra_control_plane.stores.vault import Vault, credential_of

_TIMEOUT_S: Final = 10.0
_LISTS: Final = frozenset(("models", "google_models", "cohere_models"))
_REFUSING: Final = frozenset((401, 403))
_VERSION: Final = {"anthropic-version": "2023-06-01"}


class _Found(NamedTuple):
    outcome: str
    detail: str
    status: int | None = None


async def test(pool: Pool, vault: Vault, org_id: str, provider: str) -> dict[str, Any]:
    """`outcome`: `works`, `refused`, `unclear`, `unreachable`, or `untested` with the reason."""
    route = await providers.read(pool, org_id, provider)
    begun = time.perf_counter()
    found = await _ask(route, _credential(vault, org_id, route))
    return {
        "provider": provider,
        **found._asdict(),
        "took_ms": round((time.perf_counter() - begun) * 1000),
    }


def _credential(vault: Vault, org_id: str, route: Row) -> str:
    sealed = route["credential_sealed"]
    purpose = credential_of(route["provider"])
    return vault.unseal(org_id, purpose, sealed).decode() if sealed else ""


async def _ask(route: Row, credential: str) -> _Found:
    listing = _listing(route["kind"])
    if route["credential_file"] is not None:
        return _Found("untested", "The credential is in a file that only sidecars have.")
    if credential.startswith("{"):
        return _Found("untested", "The credential is exchanged for tokens by sidecars only.")
    if listing is None:
        return _Found("untested", f"A route of kind {route['kind']!r} lists no models.")
    name, value = header_of(listing.auth or row(route["kind"]).auth, credential)
    headers = {name: value} if name else {}
    if listing.protocol == "anthropic" or route["kind"] == "anthropic":
        headers |= _VERSION
    url = f"{route['base_url']}{listing.path}"
    try:
        async with (
            httpx.AsyncClient(timeout=_TIMEOUT_S) as http,
            http.stream("GET", url, headers=headers) as answer,
        ):
            return _judged(answer.status_code)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return _Found("unreachable", f"{url} cannot be asked: {type(error).__name__}.")


def _judged(status: int) -> _Found:
    if httpx.codes.is_success(status):
        return _Found("works", "The provider listed its models.", status)
    if status in _REFUSING:
        return _Found("refused", f"The provider refuses the credential ({status}).", status)
    return _Found("unclear", f"The provider answered {status}, which says nothing of it.", status)


def _listing(kind: str) -> Operation | None:
    return next(
        (one for one in row(kind).operations if one.method == "GET" and one.name in _LISTS), None
    )
