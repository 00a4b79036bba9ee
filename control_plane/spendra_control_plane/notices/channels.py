"""Channels: where notices may go. An address goes in and only its origin comes out."""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from spendra_control_plane.authoring import editions
from spendra_control_plane.authoring.organizations import new_id
from spendra_control_plane.authoring.refusals import refuse_conflict, refuse_invalid, refuse_missing
from spendra_control_plane.stores.postgres import Connection, Pool, Row
from spendra_control_plane.stores.sql import statements
from spendra_control_plane.stores.vault import Vault

SQL = statements("channels")
SIGNING_BYTES = 32
Kind = Literal["webhook", "slack", "email"]


@dataclass(frozen=True, kw_only=True)
class Draft:
    """`address`: a URL, or one e-mail address."""

    name: str
    kind: Kind
    address: str


async def create(pool: Pool, vault: Vault, org_id: str, draft: Draft) -> dict[str, Any]:
    """A webhook's `signing_secret` is in this answer and nowhere else."""
    channel_id, secret = new_id("chn"), os.urandom(SIGNING_BYTES)
    is_webhook = draft.kind == "webhook"
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            SQL["insert"], org_id, channel_id, draft.name, draft.kind, _target(draft.address),
            _seal(vault, org_id, channel_id, draft.address),
            vault.seal(org_id, f"signing {channel_id}", secret) if is_webhook else None,
        )  # fmt: skip
        made = _view(await _read(connection, org_id, channel_id))
    if is_webhook:
        made["signing_secret"] = "whsec_" + base64.b64encode(secret).decode()
    return made


async def edit(
    pool: Pool,
    vault: Vault,
    org_id: str,
    channel_id: str,
    edits: Mapping[str, Any],
    if_match: str | None = None,
) -> dict[str, Any]:
    """`edits` may hold `name`, `state` (`active`, `paused`), and `url` or `email`."""
    async with pool.acquire() as connection, connection.transaction():
        old = await _read_open(connection, org_id, channel_id, if_match)
        new = {**dict(old.items()), **edits}
        address = _new_address(old["kind"], edits)
        if address is not None:
            new["target"] = _target(address)
            new["address_sealed"] = _seal(vault, org_id, channel_id, address)
        columns = (new["name"], new["state"], new["target"], new["address_sealed"])
        await connection.execute(SQL["edit"], org_id, channel_id, *columns)
        return _view(await _read(connection, org_id, channel_id))


async def close(
    pool: Pool, org_id: str, channel_id: str, if_match: str | None = None
) -> dict[str, Any]:
    """Its subscriptions end; what it was sent stays on record."""
    async with pool.acquire() as connection, connection.transaction():
        old = await _read_open(connection, org_id, channel_id, if_match)
        columns = (old["name"], "closed", old["target"], old["address_sealed"])
        await connection.execute(SQL["edit"], org_id, channel_id, *columns)
        await connection.execute(SQL["unsubscribe_all"], org_id, channel_id)
        return _view(await _read(connection, org_id, channel_id))


async def get(pool: Pool, org_id: str, channel_id: str) -> dict[str, Any]:
    async with pool.acquire() as connection:
        return _view(await _read(connection, org_id, channel_id))


async def page(
    pool: Pool, org_id: str, state: str | None, after: str, limit: int
) -> list[dict[str, Any]]:
    return [_view(row) for row in await pool.fetch(SQL["page"], org_id, state, after, limit)]


async def require_open(connection: Connection, org_id: str, channel_id: str) -> Row:
    """The channel, locked until the transaction ends. Raises Refusal when missing or closed."""
    return await _read_open(connection, org_id, channel_id, None)


def _new_address(kind: str, edits: Mapping[str, Any]) -> str | None:
    right, wrong = ("email", "url") if kind == "email" else ("url", "email")
    if wrong in edits:
        refuse_invalid(f"a channel of kind {kind!r} has no {wrong!r}; give {right!r}")
    return edits.get(right)


def _target(address: str) -> str:
    """What may be shown: a URL's path may be a secret, as Slack's is."""
    parts = urlsplit(address)
    if not parts.hostname:
        return address
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _seal(vault: Vault, org_id: str, channel_id: str, address: str) -> bytes:
    return vault.seal(org_id, f"address {channel_id}", address.encode())


async def _read(connection: Connection, org_id: str, channel_id: str, *, lock: bool = False) -> Row:
    row = await connection.fetchrow(SQL["get_locked" if lock else "get"], org_id, channel_id)
    if row is None:
        refuse_missing("channel", channel_id)
    return row


async def _read_open(
    connection: Connection, org_id: str, channel_id: str, if_match: str | None
) -> Row:
    row = await _read(connection, org_id, channel_id, lock=True)
    if row["state"] == "closed":
        refuse_conflict(f"The channel {channel_id!r} is closed; create a new one.")
    editions.check(if_match, _view(row))
    return row


def _view(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "address_sealed"}
