"""People who sign in at their organization's own provider: known, invited, or of a domain of it."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from spendra_control_plane.access import members, openid, tokens
from spendra_control_plane.access.callers import Caller
from spendra_control_plane.authoring.organizations import new_id
from spendra_control_plane.authoring.refusals import (
    Refusal,
    refuse_conflict,
    refuse_invalid,
    refuse_missing,
)
from spendra_control_plane.stores.postgres import Connection, Pool, Row, UniqueViolation
from spendra_control_plane.stores.sql import statements
from spendra_control_plane.stores.vault import Vault

SQL = statements("sign_in")
SESSION: Final = timedelta(hours=12)
State = Literal["open", "accepted", "revoked", "expired"]
_PURPOSE: Final = "sign-in client secret"


@dataclass(frozen=True, kw_only=True)
class Provider:
    issuer: str
    client_id: str
    client_secret: str
    trusts_email: bool = False


async def configure(pool: Pool, vault: Vault, org_id: str, provider: Provider) -> dict[str, Any]:
    """The provider must answer. Raises Refusal."""
    try:
        await openid.discover(provider.issuer)
    except openid.OpenIdError as error:
        refuse_invalid(f"issuer: {error}.")
    sealed = vault.seal(org_id, _PURPOSE, provider.client_secret.encode())
    columns = (provider.issuer, provider.client_id, sealed, provider.trusts_email)
    await pool.execute(SQL["put"], org_id, *columns)
    return await get(pool, org_id)


async def get(pool: Pool, org_id: str) -> dict[str, Any]:
    """Without its secret."""
    row = await pool.fetchrow(SQL["get"], org_id)
    if row is None:
        refuse_missing("sign-in provider", org_id)
    return dict(row.items())


async def remove(pool: Pool, org_id: str) -> None:
    if await pool.fetchval(SQL["delete"], org_id) is None:
        refuse_missing("sign-in provider", org_id)


async def registered(
    pool: Pool, vault: Vault, org_id: str, redirect_uri: str
) -> openid.Registered | None:
    """None: the organization has no provider, or is none."""
    row = await pool.fetchrow(SQL["secret"], org_id)
    if row is None:
        return None
    secret = vault.unseal(org_id, _PURPOSE, row["client_secret_sealed"]).decode()
    return openid.Registered(
        row["issuer"], row["client_id"], secret, redirect_uri, row["trusts_email"]
    )


async def admit(pool: Pool, org_id: str, issuer: str, person: openid.Person) -> dict[str, Any]:
    """A session's token, for who is a member or becomes one by this. Raises Refusal."""
    member_id = await pool.fetchval(SQL["identity"], org_id, issuer, person.subject)
    if member_id is None:
        member_id = await _join(pool, org_id, issuer, person)
    doorkeeper = Caller(org_id=org_id, token_id="")
    ends = datetime.now(UTC) + SESSION
    return await tokens.create(pool, doorkeeper, member_id, "signed in", ends)


async def invite(pool: Pool, caller: Caller, draft: members.Draft, lasts_s: int) -> dict[str, Any]:
    """Whoever signs in with the address that is the name becomes that member."""
    members.check_may_touch(caller, draft.roles)
    members.check_fit(draft.kind, draft.roles, draft.manages)
    email = draft.name
    invitation_id = new_id("inv")
    columns = (email, draft.roles, draft.manages, caller.actor, lasts_s)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(SQL["forget_expired"], caller.org_id, email)
        try:
            await connection.execute(SQL["invite"], caller.org_id, invitation_id, *columns)
        except UniqueViolation:
            refuse_conflict(f"{email} is invited already.")
    return await invitation(pool, caller.org_id, invitation_id)


async def invitation(pool: Pool, org_id: str, invitation_id: str) -> dict[str, Any]:
    row = await pool.fetchrow(SQL["invitation"], org_id, invitation_id)
    if row is None:
        refuse_missing("invitation", invitation_id)
    return _view(row)


async def invitations(
    pool: Pool, org_id: str, state: State | None, after: str, limit: int
) -> list[dict[str, Any]]:
    rows = await pool.fetch(SQL["invitations"], org_id, state, after, limit)
    return [_view(row) for row in rows]


async def revoke(pool: Pool, org_id: str, invitation_id: str) -> dict[str, Any]:
    view = await invitation(pool, org_id, invitation_id)
    if await pool.fetchval(SQL["revoke"], org_id, invitation_id) is None:
        refuse_conflict(f"The invitation is {view['state']}; there is nothing to revoke.")
    return await invitation(pool, org_id, invitation_id)


async def _join(pool: Pool, org_id: str, issuer: str, person: openid.Person) -> str:
    """By invitation, else by domain; or as the member of that name who was made before."""
    if not person.email:
        raise Refusal("not_allowed", "The provider names no verified e-mail address of yours.")
    async with pool.acquire() as connection, connection.transaction():
        invited = await connection.fetchrow(SQL["open_invitation"], org_id, person.email)
        member_id = await connection.fetchval(SQL["person"], org_id, person.email)
        if member_id is None:
            draft = await _offered(connection, org_id, person.email, invited)
            member_id = await members.insert(connection, org_id, draft)
        if invited is not None:
            await connection.fetchval(SQL["accept"], org_id, invited["id"], member_id)
        identity = (issuer, person.subject, member_id, person.email)
        await connection.execute(SQL["identify"], org_id, *identity)
    return str(member_id)


async def _offered(
    connection: Connection, org_id: str, email: str, invited: Row | None
) -> members.Draft:
    if invited is not None:
        roles, manages = invited["roles"], invited["manages"]
        return members.Draft(name=email, kind="person", roles=roles, manages=manages)
    roles = await connection.fetchval(SQL["joins_as"], org_id, email.rpartition("@")[2])
    if roles is None:
        raise Refusal("not_allowed", f"Nobody has invited {email} here; ask whoever runs it.")
    return members.Draft(name=email, kind="person", roles=roles, manages={})


def _view(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "org_id"}


def secrets() -> openid.Secrets:
    """Fresh ones."""
    state, nonce, verifier = (os.urandom(32).hex() for _ in range(3))
    return openid.Secrets(state, nonce, verifier)
