"""An OpenID provider, as far as signing in needs it: discovered, asked, and held to its word.

The authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 7636). The address is asked of
the provider's UserInfo endpoint (section 5.3) where the signed token leaves it out, as many do.
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
    """What the provider calls us, and where it sends people back to.

    `trusts_email`: an address counts of which it does not say whether it is verified.
    """

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str
    trusts_email: bool = False


class Secrets(NamedTuple):
    """Of one sign-in: what the answer must bring back, and what must not leave before."""

    state: str
    nonce: str
    verifier: str


class Person(NamedTuple):
    """Whom the provider signed in. `email` is lower case, and empty unless it counts."""

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
    async with _client(registered, provider) as client:
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
    async with _client(registered, provider) as client:
        try:
            token = await client.fetch_token(
                provider["token_endpoint"], code=code, code_verifier=secrets.verifier
            )
        except (OAuthError, httpx.HTTPError, ValueError) as error:
            msg = f"the provider did not take the code: {error}"
            raise OpenIdError(msg) from error
    async with httpx.AsyncClient(timeout=_TIMEOUT_S) as http:
        keys = await _json(http, provider["jwks_uri"])
        issuer, nonce = provider["issuer"], secrets.nonce
        claims = _signed(token.get("id_token"), keys, issuer, registered.client_id, nonce)
        needed = {"email"} if registered.trusts_email else {"email", "email_verified"}
        if not needed <= claims.keys():
            claims = await _told(http, provider, token, claims["sub"]) | claims
    return Person(str(claims["sub"]), _email(claims, trusted=registered.trusts_email))


async def _told(
    http: httpx.AsyncClient, provider: dict[str, Any], token: dict[str, Any], subject: object
) -> dict[str, Any]:
    """What its UserInfo endpoint says, if it has one, of the person whom the token names."""
    url, access_token = provider.get("userinfo_endpoint"), token.get("access_token")
    if not isinstance(url, str) or not access_token:
        return {}
    found = await _json(http, url, {"authorization": f"Bearer {access_token}"})
    if found.get("sub") != subject:
        msg = f"{url} speaks of somebody else"
        raise OpenIdError(msg)
    return found


def _email(claims: dict[str, Any], *, trusted: bool) -> str:
    # Amazon Cognito writes the word.
    verified = claims.get("email_verified") in (True, "true")
    if verified or (trusted and "email_verified" not in claims):
        return str(claims.get("email") or "").strip().lower()
    return ""


def _client(registered: Registered, provider: dict[str, Any]) -> Any:
    methods = provider.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    by_header = "client_secret_basic" in methods
    return AsyncOAuth2Client(
        registered.client_id,
        registered.client_secret,
        scope=SCOPE,
        redirect_uri=registered.redirect_uri,
        code_challenge_method="S256",
        token_endpoint_auth_method="client_secret_basic" if by_header else "client_secret_post",
        timeout=_TIMEOUT_S,
    )


def _signed(
    id_token: object, keys: dict[str, Any], issuer: str, client_id: str, nonce: str
) -> dict[str, Any]:
    """The token's claims, once it has shown to be the provider's, for us, and of this sign-in."""
    claimed = jwt.JWTClaimsRegistry(
        leeway=_LEEWAY_S,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": client_id},
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
    return dict(token.claims)


async def _json(
    http: httpx.AsyncClient, url: str, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    try:
        answer = await http.get(url, headers=headers)
        answer.raise_for_status()
        found = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        msg = f"{url} does not answer as it should: {str(error) or type(error).__name__}"
        raise OpenIdError(msg) from error
    if not isinstance(found, dict):
        msg = f"{url} answers with no JSON object"
        raise OpenIdError(msg)
    return found
