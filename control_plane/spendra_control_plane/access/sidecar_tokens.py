"""Tokens of sidecars: one for all, one for each, or one with which each gets its own."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from spendra.snapshot import Selector, to_text
from spendra_control_plane.authoring.organizations import digest, new_token
from spendra_control_plane.authoring.refusals import refuse_conflict, refuse_missing
from spendra_control_plane.snapshots.views import View, view_of
from spendra_control_plane.stores.postgres import Connection, Pool, UniqueViolation
from spendra_control_plane.stores.sql import statements

SQL = statements("sidecar_tokens")
Kind = Literal["sidecar", "enrolment"]


class Holder(NamedTuple):
    """Whose token it is. `sidecar_id` None: any sidecar's of the organization."""

    org_id: str
    token_id: str
    kind: Kind
    sidecar_id: str | None
    view: View


@dataclass(frozen=True, kw_only=True)
class Draft:
    name: str
    kind: Kind
    sidecar_id: str | None
    expires_at: datetime | None
    scope: Selector
    providers: list[str] | None


async def holder(pool: Pool, token: str) -> Holder | None:
    """None for a token that is unknown, revoked or expired."""
    row = await pool.fetchrow(SQL["holder"], digest(token))
    if row is None:
        return None
    view = view_of(row["scope"], row["providers"])
    return Holder(row["org_id"], row["id"], row["kind"], row["sidecar_id"], view)


async def create(pool: Pool, org_id: str, draft: Draft) -> dict[str, Any]:
    """`token` is in this answer and nowhere else. Raises Refusal for a sidecar that has one."""
    async with pool.acquire() as connection, connection.transaction():
        return await _insert(connection, org_id, draft)


async def enrol(pool: Pool, by: Holder, sidecar_id: str) -> dict[str, Any]:
    """A sidecar's own token, to see what `by` sees; the one that it had is revoked."""
    org_id = by.org_id
    draft = Draft(
        name="enrolled", kind="sidecar", sidecar_id=sidecar_id, expires_at=None,
        scope=by.view.selector(), providers=by.view.patterns(),
    )  # fmt: skip
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(SQL["replace"], org_id, sidecar_id)
        made = await _insert(connection, org_id, draft)
        public_key = await connection.fetchval(SQL["public_key"], org_id)
    return {
        "sidecar_id": sidecar_id,
        "token": made["token"],
        "snapshot_public_key": to_text(public_key),
    }


async def page(pool: Pool, org_id: str, after: str, limit: int) -> list[dict[str, Any]]:
    return [dict(row.items()) for row in await pool.fetch(SQL["page"], org_id, after, limit)]


async def revoke(pool: Pool, org_id: str, token_id: str) -> dict[str, Any]:
    """For ever; streams that were opened with it end within a second or two."""
    row = await pool.fetchrow(SQL["revoke"], org_id, token_id)
    if row is None:
        refuse_missing("sidecar token", token_id)
    return dict(row.items())


async def _insert(connection: Connection, org_id: str, draft: Draft) -> dict[str, Any]:
    token = new_token("sps" if draft.kind == "sidecar" else "spe", org_id)
    columns = (
        draft.name, draft.kind, draft.sidecar_id, draft.expires_at, draft.scope, draft.providers,
    )  # fmt: skip
    try:
        row = await connection.fetchrow(
            SQL["insert"], org_id, token.id, digest(token.text), *columns
        )
    except UniqueViolation:
        refuse_conflict(f"The sidecar {draft.sidecar_id!r} has a token; revoke that one first.")
    assert row is not None  # noqa: S101 - it returns what it inserted
    return {**dict(row.items()), "token": token.text}
