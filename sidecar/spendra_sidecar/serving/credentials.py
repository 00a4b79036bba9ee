"""How a route proves to its provider who pays: a key, or a token that is fetched and renewed.

A credential that is a JSON object is exchanged for tokens: a Google service account's key file,
or `{"tenant_id", "client_id", "client_secret"}` of an application in Microsoft Entra.
"""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from spendra.providers import Operation, header_of
from spendra_sidecar.serving.refusals import Refusal
from spendra_sidecar.snapshots.routes import Route

_log = logging.getLogger(__name__)
_GOOGLE_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
_ENTRA_SCOPE: Final = "https://cognitiveservices.azure.com/.default"
_ENTRA_ORIGIN: Final = "https://login.microsoftonline.com"
_RENEWED_BEFORE_S: Final = 300.0
_RETRY_S: Final = 5.0
_FETCHED_WITHIN_S: Final = 10.0
_MOST: Final = 256


class _Token:
    """One credential's token, fetched by one task at a time and renewed before it ends."""

    def __init__(self, source: dict[str, Any]) -> None:
        self._source = source
        self._value = ""
        self._expires_at = 0.0
        self._renewing: asyncio.Task[None] | None = None

    def fresh(self) -> str:
        """The token, or empty where it has ended; begins to renew it in good time."""
        left_s = self._expires_at - time.monotonic()
        if left_s < _RENEWED_BEFORE_S and (self._renewing is None or self._renewing.done()):
            self._renewing = asyncio.create_task(self._renew())
        return self._value if left_s > 0 else ""

    async def wait(self) -> str:
        if self._renewing is not None:
            await asyncio.shield(self._renewing)
        return self._value if self._expires_at > time.monotonic() else ""

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout(_FETCHED_WITHIN_S):
                self._value, lasts_s = await _fetched(self._source)
            self._expires_at = time.monotonic() + lasts_s
        except Exception as error:  # noqa: BLE001 - google-auth's errors are not imported here
            # The error may quote what was sent: only its kind is logged.
            _log.warning("a provider's token could not be fetched: %s", type(error).__name__)
            await asyncio.sleep(_RETRY_S if self._value else 0)


class Credentials:
    """Of all routes; tokens are kept by credential, so that a new snapshot keeps them."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._files: dict[str, tuple[int, str]] = {}
        self._tokens: dict[str, _Token] = {}

    async def header(self, route: Route, operation: Operation) -> tuple[str, str]:
        """Name and value; an empty name where the route has no credential. Raises Refusal."""
        credential = route.record.credential or self._in_file(route)
        if not credential.startswith("{"):
            return header_of(operation.auth or route.row.auth, credential)
        token = self._tokens.get(credential)
        if token is None:
            token = self._add(credential)
        value = token.fresh() or await token.wait()
        if not value:
            msg = f"No token could be fetched for {route.name}; see the sidecar's log."
            raise Refusal("credential_unavailable", msg, retry_after_ms=5000)
        return "authorization", f"Bearer {value}"

    def _in_file(self, route: Route) -> str:
        """What the file says now that the route names; empty where it names none."""
        name = route.record.credential_file
        if not name:
            return ""
        try:
            if self._directory is None:
                raise FileNotFoundError
            path = self._directory / name
            changed_ns = path.stat().st_mtime_ns
            known = self._files.get(name)
            if known is None or known[0] != changed_ns:
                known = self._files[name] = (changed_ns, path.read_text("utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            msg = f"This sidecar has no file {name!r} in SPENDRA_SECRETS_DIR, for {route.name}."
            raise Refusal("credential_unavailable", msg, retry_after_ms=5000) from error
        return known[1]

    def _add(self, credential: str) -> _Token:
        if len(self._tokens) >= _MOST:
            self._tokens.clear()
        try:
            source = msgspec.json.decode(credential, type=dict[str, Any])
        except msgspec.DecodeError:
            source = {}
        return self._tokens.setdefault(credential, _Token(source))


async def _fetched(source: dict[str, Any]) -> tuple[str, float]:
    """A token and how many seconds it lasts."""
    if source.get("type") == "service_account":
        return await asyncio.to_thread(_google, source)
    return await _entra(source)


def _google(source: dict[str, Any]) -> tuple[str, float]:
    # Ten MiB that only sidecars with such a credential need.
    from spendra_sidecar.serving import google_tokens

    return google_tokens.fetch(source, _FETCHED_WITHIN_S)


async def _entra(source: dict[str, Any]) -> tuple[str, float]:
    """OAuth 2.0 client credentials (RFC 6749, 4.4)."""
    origin = source.get("authority") or _ENTRA_ORIGIN
    form = {
        "grant_type": "client_credentials",
        "client_id": source["client_id"],
        "client_secret": source["client_secret"],
        "scope": source.get("scope") or _ENTRA_SCOPE,
    }
    async with httpx.AsyncClient(timeout=_FETCHED_WITHIN_S) as client:
        url = f"{origin}/{source['tenant_id']}/oauth2/v2.0/token"
        answer = (await client.post(url, data=form)).raise_for_status().json()
    return str(answer["access_token"]), float(answer["expires_in"])
