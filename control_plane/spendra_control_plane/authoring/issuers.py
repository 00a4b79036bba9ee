"""Issuers whose JSON Web Tokens stand for a key."""

from dataclasses import dataclass
from typing import Any

from spendra_control_plane.access import openid
from spendra_control_plane.authoring.refusals import (
    refuse_conflict,
    refuse_invalid,
    refuse_missing,
)
from spendra_control_plane.snapshots.publish import Publisher
from spendra_control_plane.stores.postgres import Connection, Pool, UniqueViolation
from spendra_control_plane.stores.sql import statements

SQL = statements("issuers")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """`claims` maps a dimension to a claim; `jwks_url` None is found out from the issuer."""

    issuer: str
    audience: str
    jwks_url: str | None
    key_id: str
    claims: dict[str, str]


async def put(publisher: Publisher, org_id: str, name: str, draft: Draft) -> dict[str, Any]:
    """Raises Refusal."""
    jwks_url = draft.jwks_url or await _discovered(draft.issuer)
    columns = (draft.issuer, draft.audience, jwks_url, draft.key_id, draft.claims)
    async with publisher.change(org_id) as change:
        await _check_key(change.connection, org_id, draft)
        try:
            await change.connection.execute(SQL["put"], org_id, name, *columns)
        except UniqueViolation:
            refuse_conflict("Another issuer here has the same 'issuer' and 'audience'.")
        change.restricts = True
        return await _read(change.connection, org_id, name)


async def get(pool: Pool, org_id: str, name: str) -> dict[str, Any]:
    async with pool.acquire() as connection:
        return await _read(connection, org_id, name)


async def page(pool: Pool, org_id: str, after: str, limit: int) -> list[dict[str, Any]]:
    return [dict(row.items()) for row in await pool.fetch(SQL["page"], org_id, after, limit)]


async def remove(publisher: Publisher, org_id: str, name: str) -> None:
    """Its tokens are refused from the next request on."""
    async with publisher.change(org_id) as change:
        await _read(change.connection, org_id, name)
        await change.connection.execute(SQL["delete"], org_id, name)
        change.restricts = True


async def _discovered(issuer: str) -> str:
    try:
        found = await openid.discover(issuer)
    except openid.OpenIdError as error:
        refuse_invalid(f"issuer: {error}; or give its 'jwks_url'.")
    return str(found["jwks_uri"])


async def _check_key(connection: Connection, org_id: str, draft: Draft) -> None:
    key = await connection.fetchrow(SQL["standing_key"], org_id, draft.key_id)
    if key is None:
        refuse_missing("key", draft.key_id)
    bound = {*key["scope"], *(["project"] if key["projects"] else [])}
    both = sorted(bound & set(draft.claims))
    if both:
        refuse_invalid(
            f"claims.{both[0]}: the key {draft.key_id!r} is bound to a {both[0]} itself."
        )


async def _read(connection: Connection, org_id: str, name: str) -> dict[str, Any]:
    row = await connection.fetchrow(SQL["get"], org_id, name)
    if row is None:
        refuse_missing("issuer", name)
    return dict(row.items())
