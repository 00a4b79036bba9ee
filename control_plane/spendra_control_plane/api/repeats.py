"""Idempotent POSTs: the answer to an `Idempotency-Key` is kept, sealed, and given again."""

import hashlib
from dataclasses import dataclass

from fastapi import Request, Response

from spendra_control_plane.access.callers import Caller
from spendra_control_plane.authoring.refusals import Refusal
from spendra_control_plane.stores.postgres import Pool
from spendra_control_plane.stores.sql import statements
from spendra_control_plane.stores.vault import Vault

SQL = statements("repeats")
HEADER = "idempotency-key"
_OK = range(200, 300)


class Replayed(Exception):  # noqa: N818 - it is an answer, not a fault
    """The request was answered before; `response` is that answer."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


@dataclass(frozen=True)
class Claim:
    """The one request that may use a key. Its answer is sealed: it may hold a secret."""

    pool: Pool
    vault: Vault
    org_id: str
    key: str

    async def close(self, response: Response | None) -> None:
        """Keep a good answer. After any other nothing was changed, and the key is free again."""
        if response is None or response.status_code not in _OK:
            await self.pool.execute(SQL["forget"], self.org_id, self.key)
            return
        sealed = self.vault.seal(self.org_id, f"answer {self.key}", bytes(response.body))
        await self.pool.execute(SQL["keep"], self.org_id, self.key, response.status_code, sealed)


async def claim(request: Request, pool: Pool, vault: Vault, caller: Caller) -> None:
    """Puts the claim on `request.state`. Raises Replayed, or Refusal for a key misused.

    A key is its token's own: an answer may show a secret that another may not see.
    """
    org_id, key = caller.org_id, f"{caller.token_id} {request.headers[HEADER]}"
    digest = await _digest(request)
    await pool.execute(SQL["forget_old"])
    if await pool.fetchval(SQL["claim"], org_id, key, digest):
        request.state.claim = Claim(pool, vault, org_id, key)
        return
    await _replay(pool, vault, (org_id, key), digest)


async def _replay(pool: Pool, vault: Vault, named: tuple[str, str], digest: bytes) -> None:
    row = await pool.fetchrow(SQL["get"], *named)
    if row is None or row["status"] is None:
        detail = "A request with this Idempotency-Key is under way, or ended without an answer."
        raise Refusal("idempotency_in_flight", detail, retry_after_s=1)
    if row["request_sha256"] != digest:
        detail = "This Idempotency-Key was used for another request; take a new one."
        raise Refusal("idempotency_key_reused", detail)
    body = vault.unseal(named[0], f"answer {named[1]}", row["answer_sealed"])
    headers = {"idempotency-replayed": "true"}
    raise Replayed(Response(body, row["status"], headers, media_type="application/json"))


async def _digest(request: Request) -> bytes:
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return hashlib.sha256(asked + await request.body()).digest()
