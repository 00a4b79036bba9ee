"""An OpenID provider, as far as signing in needs it: discovered, asked, and held to its word.

The authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 7636).
"""

from typing import Any, Final, NamedTuple

import httpx
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

SCOPE: Final = "openid email profile"
_TIMEOUT_S: Final = 10.0
_LEEWAY_S: Final = 60
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")


class OpenIdError(Exception):
    """The provider does not answer as it should; the message is one sentence."""


class Registered(NamedTuple):
    """What the provider calls us, and where it sends people back to."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str


class Secrets(NamedTuple):
    """Of one sign-in: what the answer must bring back, and what must not leave before."""

    state: str
    nonce: str
    verifier: str


class Person(NamedTuple):
    """Whom the provider signed in. `email` is lower case, and empty unless it is verified."""

    subject: str
    email: str


async def discover(issuer: str) -> dict[str, Any]:
    """The provider's own description of itself. Raises OpenIdError."""
    async with httpx.AsyncClient(timeout=_TIMEOUT_S) as http:
        url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        found = await _json(http, url)
    if str(found.get("issuer", "")).rstrip("/") != issuer.rstrip("/"):
        msg = f"{url} speaks for another issuer, {found.get('issuer')!r}"
        raise OpenIdError(msg)
    missing = [
        name
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
        if not isinstance(found.get(name), str)
    ]
    if missing:
        msg = f"{url} names no {missing[0]}"
        raise OpenIdError(msg)
    return found


async def begin(registered: Registered, secrets: Secrets) -> str:
    """The address of the provider to send somebody to. Raises OpenIdError."""
    provider = await discover(registered.issuer)
    async with _client(registered) as client:
        url, _ = client.create_authorization_url(
            provider["authorization_endpoint"],
            state=secrets.state,
            nonce=secrets.nonce,
            code_verifier=secrets.verifier,
        )
    return str(url)


async def finish(registered: Registered, secrets: Secrets, code: str) -> Person:
    """Who came back with this code. Raises OpenIdError."""
    provider = await discover(registered.issuer)
    async with _client(registered) as client:
        try:
            token = await client.fetch_token(
                provider["token_endpoint"], code=code, code_verifier=secrets.verifier
            )
        except (OAuthError, httpx.HTTPError, ValueError) as error:
            msg = f"the provider did not take the code: {error}"
            raise OpenIdError(msg) from error
    async with httpx.AsyncClient(timeout=_TIMEOUT_S) as http:
        keys = await _json(http, provider["jwks_uri"])
    return _person(token.get("id_token"), keys, provider["issuer"], registered, secrets.nonce)


def _client(registered: Registered) -> Any:
    return AsyncOAuth2Client(
        registered.client_id,
        registered.client_secret,
        scope=SCOPE,
        redirect_uri=registered.redirect_uri,
        code_challenge_method="S256",
        timeout=_TIMEOUT_S,
    )


def _person(
    id_token: object, keys: dict[str, Any], issuer: str, registered: Registered, nonce: str
) -> Person:
    """By the signed token alone."""
    claimed = jwt.JWTClaimsRegistry(
        leeway=_LEEWAY_S,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": registered.client_id},
        exp={"essential": True},
        sub={"essential": True},
        nonce={"essential": True, "value": nonce},
    )
    try:
        key_set = KeySet.import_key_set(keys)  # type: ignore[arg-type]
        token = jwt.decode(str(id_token), key_set, algorithms=list(_ALGORITHMS))
        claimed.validate(token.claims)
    except (JoseError, ValueError, KeyError, TypeError) as error:
        msg = f"the provider's token does not hold: {error}"
        raise OpenIdError(msg) from error
    claims = token.claims
    email = claims.get("email") if claims.get("email_verified") is True else None
    return Person(str(claims["sub"]), str(email or "").strip().lower())


async def _json(http: httpx.AsyncClient, url: str) -> dict[str, Any]:
    try:
        answer = await http.get(url)
        answer.raise_for_status()
        found = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        msg = f"{url} does not answer as it should: {str(error) or type(error).__name__}"
        raise OpenIdError(msg) from error
    if not isinstance(found, dict):
        msg = f"{url} answers with no JSON object"
        raise OpenIdError(msg)
    return found
