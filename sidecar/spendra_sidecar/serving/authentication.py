"""Who asks, and under which snapshot."""

from typing import TYPE_CHECKING, Final

from spendra._hot import Principal
from spendra_sidecar.config import Config
from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.serving import callers
from spendra_sidecar.serving.call import Call
from spendra_sidecar.serving.refusals import Refusal
from spendra_sidecar.snapshots.live import Live
from spendra_sidecar.snapshots.receiver import Receiver

if TYPE_CHECKING:
    from spendra_sidecar.serving.jwts import Jwts

_LONGEST_JWT: Final = 16_384
_NEWER_SNAPSHOT_S = 2.0
_FRESH_KEY_S = 1.0
_KEY_REFUSALS = {
    "key_malformed": "This is not a whole Spendra key: its checksum does not fit. Copy it again.",
    "key_unknown": "This key is not known here. Ask the operator who issued it.",
    "key_revoked": "This key was revoked.",
    "key_paused": "This key is paused, or its scope is closed; an operator can resume it.",
    "key_expired": "This key has expired.",
}


class Authentication:
    """Every method raises Refusal."""

    def __init__(self, config: Config, receiver: Receiver, ledger: Ledger) -> None:
        self._config = config
        self._receiver = receiver
        self._ledger = ledger
        self._jwts: Jwts | None = None

    def snapshot(self) -> Live:
        live = self._receiver.usable()
        if live is not None:
            return live
        if self._receiver.live is None:
            msg = "This sidecar has no policy yet: no control plane was reached."
            raise Refusal("snapshot_missing", msg, retry_after_ms=1000)
        msg = (
            f"The policy here was last confirmed {self._receiver.staleness_s():.0f} s ago, more "
            f"than the {self._config.max_staleness_s} s allowed (SPENDRA_MAX_STALENESS_S)."
        )
        raise Refusal("snapshot_stale", msg, retry_after_ms=5000)

    async def newer(self, version: int) -> Live:
        live = await self._receiver.at_least(version, _NEWER_SNAPSHOT_S)
        if live is None:
            msg = f"Policy version {version} is required and has not reached this sidecar yet."
            raise Refusal("snapshot_stale", msg, retry_after_ms=1000)
        return live

    async def authenticate(
        self, call: Call, live: Live, *, spends: bool = True
    ) -> tuple[Live, Principal]:
        """Who asks, and the snapshot that knows it: a key may be younger than ours.

        `spends`: what it asks costs money, which has to be somebody's.
        """
        key = callers.presented_key(call.scope.headers, call.scope.query_string)
        if not key:
            msg = "No key: give a Spendra key as the SDK's API key, or in X-Spendra-Key."
            raise Refusal("key_missing", msg)
        if live.issuers and _is_jwt(key):
            principal = await self._tokens().principal(key, live, self._ledger.now_ms())
        else:
            live, principal = await self._known(key, live)
        if spends and principal.projects:
            principal = _in_project(principal, call.facts.get("project", ""))
        return live.seen_by(principal), principal

    async def _known(self, key: str, live: Live) -> tuple[Live, Principal]:
        found = live.keys.authenticate(key, self._ledger.now_ms())
        if found == "key_unknown":
            live = await self._receiver.at_least(live.version + 1, _FRESH_KEY_S) or live
            found = live.keys.authenticate(key, self._ledger.now_ms())
        if isinstance(found, str):
            raise Refusal(found, _KEY_REFUSALS[found])
        return live, found

    def _tokens(self) -> "Jwts":
        # Seven MiB that only sidecars with trusted issuers need.
        from spendra_sidecar.serving.jwts import Jwts

        if self._jwts is None:
            self._jwts = Jwts()
        return self._jwts


def _in_project(principal: Principal, name: str) -> Principal:
    bound = principal.in_project(name)
    if bound is None:
        known = ", ".join(principal.projects)
        msg = f"This key is for several projects; name one of them in X-Spendra-Project: {known}."
        raise Refusal("project_missing", msg)
    return bound


def _is_jwt(text: str) -> bool:
    """By its form: a JSON object in base64, and two more parts."""
    return text.startswith("eyJ") and text.count(".") == 2 and len(text) <= _LONGEST_JWT  # noqa: PLR2004
