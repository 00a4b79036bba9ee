"""Organizations: made once, with the tokens and keys that everything else depends on."""

import hashlib
import os
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spendra.ids import name_id
from spendra.snapshot import to_text
from spendra_control_plane.authoring import editions
from spendra_control_plane.authoring.refusals import refuse_missing
from spendra_control_plane.snapshots.publish import Publisher
from spendra_control_plane.stores.postgres import Connection, Pool
from spendra_control_plane.stores.sql import statements
from spendra_control_plane.stores.vault import SIGNING_KEY, Vault

SQL = statements("organizations")
_SECRET_BYTES = 32


@dataclass(frozen=True)
class Token:
    """`text` is shown once; only its SHA-256 is stored."""

    id: str
    text: str


async def create(publisher: Publisher, name: str) -> dict[str, Any]:
    """A new organization, its first snapshot published; its tokens are shown here only."""
    org_id = new_id("org")
    admin, sidecar = new_token("spa", org_id), new_token("sps", org_id)
    signing_key = Ed25519PrivateKey.generate()
    async with publisher.pool.acquire() as connection, connection.transaction():
        await _insert(connection, publisher.vault, org_id, name, signing_key)
        await connection.execute(SQL["insert_admin_token"], org_id, admin.id, digest(admin.text))
        await connection.execute(
            SQL["insert_sidecar_token"], org_id, sidecar.id, digest(sidecar.text)
        )
    async with publisher.change(org_id):
        pass
    return {
        "id": org_id,
        "name": name,
        "admin_token": admin.text,
        "sidecar_token": sidecar.text,
        "snapshot_public_key": to_text(signing_key.public_key().public_bytes_raw()),
    }


async def issue_admin_token(pool: Pool, org_id: str) -> dict[str, Any]:
    """One more, shown here only: for an organization that lost its owners' tokens."""
    admin = new_token("spa", org_id)
    async with pool.acquire() as connection, connection.transaction():
        if await connection.fetchval(SQL["settings"], org_id) is None:
            refuse_missing("organization", org_id)
        await connection.execute(SQL["insert_admin_token"], org_id, admin.id, digest(admin.text))
    return {"id": org_id, "admin_token": admin.text}


async def revoke_admin_tokens(pool: Pool, org_id: str) -> dict[str, Any]:
    """All of them, for ever. A second time there are none left, which is no error."""
    return {"revoked": len(await pool.fetch(SQL["revoke_admin_tokens"], org_id))}


async def page(pool: Pool, after: str, limit: int) -> list[dict[str, Any]]:
    rows = await pool.fetch(SQL["page"], after, limit)
    return [{**row, "snapshot_public_key": to_text(row["snapshot_public_key"])} for row in rows]


async def configure(
    publisher: Publisher, org_id: str, default_output_tokens: int, if_match: str | None = None
) -> dict[str, Any]:
    async with publisher.change(org_id) as change:
        old = await change.connection.fetchval(SQL["settings"], org_id)
        editions.check(if_match, {"default_output_tokens": old})
        await change.connection.execute(SQL["configure"], org_id, default_output_tokens)
    return {"default_output_tokens": default_output_tokens}


async def settings(pool: Pool, org_id: str) -> dict[str, Any]:
    return {"default_output_tokens": await pool.fetchval(SQL["settings"], org_id)}


async def check_vault(pool: Pool, vault: Vault) -> None:
    """Raises SealError when the stored secrets were sealed under another master key."""
    for row in await pool.fetch(SQL["a_secret"]):
        vault.unseal(row["id"], "key_pepper", row["key_pepper_sealed"])


def new_id(prefix: str) -> str:
    return name_id(prefix, os.urandom(10))


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def new_token(prefix: str, org_id: str) -> Token:
    """256 random bits."""
    return Token(new_id("tok"), f"{prefix}_{org_id}_{os.urandom(_SECRET_BYTES).hex()}")


async def _insert(
    connection: Connection, vault: Vault, org_id: str, name: str, signing_key: Ed25519PrivateKey
) -> None:
    pepper = vault.seal(org_id, "key_pepper", os.urandom(_SECRET_BYTES))
    signing = vault.seal(org_id, SIGNING_KEY, signing_key.private_bytes_raw())
    public = signing_key.public_key().public_bytes_raw()
    await connection.execute(SQL["insert"], org_id, name, pepper, signing, public)
