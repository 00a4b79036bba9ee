"""JSON Web Tokens that stand for a key: of an issuer that the organization trusts."""

import hashlib
import time
from typing import Any, Final, NamedTuple

import httpx
import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from spendra import snapshot as wire
from spendra._hot import Principal, shard_of_key
from spendra.principals import principal_of
from spendra.snapshot import IssuerRecord, KeyRecord
from spendra_sidecar.serving.refusals import Refusal
from spendra_sidecar.snapshots.live import Live

_ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
_LEEWAY_S: Final = 60
_KEYS_LAST_S: Final = 600.0
_ASKED_AGAIN_S: Final = 5.0
_TIMEOUT_S: Final = 5.0
_MOST: Final = 10_000


class _Keys(NamedTuple):
    """An issuer's public keys, and when they came, in monotonic seconds."""

    found: KeySet
    at_s: float


class Jwts:
    """What was verified is remembered until the token expires or the policy changes."""

    def __init__(self) -> None:
        self._keys: dict[str, _Keys] = {}
        self._known: dict[bytes, tuple[float, Principal]] = {}
        self._version = 0

    async def principal(self, text: str, live: Live, now_ms: int) -> Principal:
        """Raises Refusal."""
        if live.version != self._version or len(self._known) >= _MOST:
            self._known.clear()
            self._version = live.version
        digest = hashlib.sha256(text.encode()).digest()
        expires_ms, known = self._known.get(digest, (0.0, None))
        if known is not None and now_ms < expires_ms:
            return known
        issuer = _issuer_of(text, live)
        claims = await self._verified(text, issuer, now_ms)
        found = principal_of(_record(issuer, claims, live), now_ms)
        if isinstance(found, str):
            msg = f"The key that tokens of {issuer.name!r} stand for is refused: {found}."
            raise Refusal(found, msg)
        self._known[digest] = (claims["exp"] * 1000.0, found)
        return found

    async def _verified(self, text: str, issuer: IssuerRecord, now_ms: int) -> dict[str, Any]:
        registry = jwt.JWTClaimsRegistry(
            now=now_ms // 1000,
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": issuer.issuer},
            aud={"essential": True, "value": issuer.audience},
            exp={"essential": True},
        )
        try:
            keys = await self._keys_of(issuer, jws.extract_compact(text.encode()).headers())
            token = jwt.decode(text, keys, algorithms=_ALGORITHMS)
            registry.validate(token.claims)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            msg = f"The token of {issuer.name!r} does not hold: {error}"
            raise Refusal("token_invalid", msg) from error
        return token.claims

    async def _keys_of(self, issuer: IssuerRecord, header: dict[str, Any]) -> KeySet:
        """Asked for again when they are old, or lack the one that the token names."""
        known, now_s = self._keys.get(issuer.jwks_url), time.monotonic()
        if known is not None:
            age_s = now_s - known.at_s
            names_another = header.get("kid") not in {key.kid for key in known.found.keys}
            if age_s < (_ASKED_AGAIN_S if names_another else _KEYS_LAST_S):
                return known.found
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT_S) as http:
                answer = await http.get(issuer.jwks_url)
            found = KeySet.import_key_set(answer.raise_for_status().json())
        except (httpx.HTTPError, httpx.InvalidURL, JoseError, ValueError, KeyError) as error:
            if known is not None:
                return known.found
            msg = f"The keys of {issuer.name!r} cannot be had: {type(error).__name__}. Try again."
            raise Refusal("issuer_unavailable", msg, retry_after_ms=1000) from error
        self._keys[issuer.jwks_url] = _Keys(found, now_s)
        return found


def _issuer_of(text: str, live: Live) -> IssuerRecord:
    """By what the token says of itself, which nothing is believed of yet."""
    try:
        claims = msgspec.json.decode(jws.extract_compact(text.encode()).payload)
        said, audience = claims["iss"], claims.get("aud")
    except (JoseError, ValueError, KeyError, TypeError, AttributeError):
        raise Refusal("token_invalid", "This is no JSON Web Token that names its issuer.") from None
    audiences = audience if isinstance(audience, list) else [audience]
    for issuer in live.issuers:
        if issuer.issuer == said and issuer.audience in audiences:
            return issuer
    msg = "No issuer is trusted here for this token's 'iss' and 'aud'; an operator can add it."
    raise Refusal("token_invalid", msg)


def _record(issuer: IssuerRecord, claims: dict[str, Any], live: Live) -> KeyRecord:
    """The key's own record, bound to what the claims name besides."""
    record = _key(issuer, live)
    scope = {dimension: list(values) for dimension, values in record.scope.items()}
    for dimension, claim in issuer.claims.items():
        for value in _values(issuer, claims, claim):
            _add(scope, dimension, value)
            for kind, names in issuer.above.get(dimension, {}).get(value, {}).items():
                for name in names:
                    _add(scope, kind, name)
    return msgspec.structs.replace(record, scope=scope)


def _add(scope: dict[str, list[str]], dimension: str, value: str) -> None:
    values = scope.setdefault(dimension, [])
    if value not in values:
        values.append(value)


def _key(issuer: IssuerRecord, live: Live) -> KeyRecord:
    name = wire.keys_name(shard_of_key(issuer.key_id))
    segment = live.source.segments.get(name)
    keys = wire.decode(segment, wire.KeysSegment).keys if segment is not None else []
    for record in keys:
        if record.id == issuer.key_id:
            return record
    msg = f"The key that tokens of {issuer.name!r} stand for is not known here."
    raise Refusal("key_unknown", msg)


def _values(issuer: IssuerRecord, claims: dict[str, Any], claim: str) -> list[str]:
    """One or several. Without them the money would be nobody's."""
    found = claims.get(claim)
    listed: list[Any] = found if isinstance(found, list) else [found]
    values = [value for value in listed if isinstance(value, str) and value]
    if not values or len(values) < len(listed):
        msg = f"The token of {issuer.name!r} has no text in its claim {claim!r}."
        raise Refusal("token_invalid", msg)
    return values
