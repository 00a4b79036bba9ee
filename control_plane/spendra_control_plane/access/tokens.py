"""Personal and service tokens: shown once, stored as a hash, revocable, expiring."""

import os
from datetime import datetime
from typing import Any

from spendra_control_plane.access import members
from spendra_control_plane.access.callers import Caller
from spendra_control_plane.authoring.organizations import digest, new_id
from spendra_control_plane.authoring.refusals import refuse_conflict, refuse_missing
from spendra_control_plane.stores.postgres import Pool
from spendra_control_plane.stores.sql import statements

SQL = statements("members")
_SECRET_BYTES = 32


async def create(
    pool: Pool, caller: Caller, member_id: str, name: str, expires_at: datetime | None
) -> dict[str, Any]:
    """`token` is in this answer and nowhere else."""
    member = await members.get(pool, caller.org_id, member_id)
    members.check_may_touch(caller, member["roles"])
    if member["state"] != "active":
        refuse_conflict(f"The member {member_id!r} is suspended.")
    text = f"spt_{caller.org_id}_{os.urandom(_SECRET_BYTES).hex()}"
    columns = (new_id("tok"), member_id, name, digest(text), expires_at)
    row = await pool.fetchrow(SQL["insert_token"], caller.org_id, *columns)
    assert row is not None  # noqa: S101 - it returns what it inserted
    return {**dict(row.items()), "token": text}


async def revoke(pool: Pool, caller: Caller, token_id: str) -> dict[str, Any]:
    """For ever, from the next request on."""
    roles = await pool.fetchval(SQL["roles_of_token"], caller.org_id, token_id)
    if roles is None:
        refuse_missing("token", token_id)
    members.check_may_touch(caller, roles)
    row = await pool.fetchrow(SQL["revoke_token"], caller.org_id, token_id)
    assert row is not None  # noqa: S101 - it was there
    return dict(row.items())


async def page(
    pool: Pool, org_id: str, member_id: str, after: str, limit: int
) -> list[dict[str, Any]]:
    rows = await pool.fetch(SQL["page_tokens"], org_id, member_id, after, limit)
    return [dict(row.items()) for row in rows]
