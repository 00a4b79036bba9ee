"""Sealing: what can no longer change joins its chain. The requests' path pays nothing for it."""

import asyncio
import time

from spendra.chains import CHAINS, Seal, seal
from spendra_control_plane.record.rows import SQL, STEP_BATCHES, head
from spendra_control_plane.stores.postgres import Connection, Pool, Row

MOST_ROWS = 10_000
"""Rows of one seal, at most."""
_WAIT_S = 2.0
_POLL_S = 0.01


async def horizon(pool: Pool) -> int | None:
    """A batch such that it and all before it have ended, or None when one takes too long.

    Whoever takes a batch number holds a lock on the sequence until its transaction ends: once
    those who hold it now are gone, nothing can be added at or below the number read first.
    """
    issued: int = await pool.fetchval(SQL["issued"])
    writing = await _writing(pool)
    deadline = time.monotonic() + _WAIT_S
    while writing:
        if time.monotonic() > deadline:
            return None
        await asyncio.sleep(_POLL_S)
        writing &= await _writing(pool)
    return issued


class Sealer:
    """Remembers up to where a chain had nothing to seal, so that nobody looks there again."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._empty_upto: dict[tuple[str, str], int] = {}

    async def seal_all(self, org_id: str, upto: int) -> list[Seal]:
        """Seal every chain of an organization up to a horizon; the new seals."""
        made = []
        for chain in CHAINS:
            while new := await self._seal_next(org_id, chain, upto):
                made.append(new)
        return made

    async def _seal_next(self, org_id: str, chain: str, upto: int) -> Seal | None:
        """None when there is nothing to seal, or another worker seals this chain now."""
        async with self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(SQL["claim_chain"], org_id, chain):
                return None
            await connection.execute(SQL["utc"])
            before = await head(connection, org_id, chain)
            after = before.last_batch if before else 0
            start = max(after, self._empty_upto.get((org_id, chain), 0))
            rows, last = await _read(connection, org_id, chain, start, upto)
            if not rows:
                self._empty_upto[org_id, chain] = upto
                return None
            lines = [row["line"].encode() for row in rows]
            made = seal(before, last, lines, await connection.fetchval(SQL["now"]), chain, org_id)
            await _write(connection, made)
            return made


async def _read(
    connection: Connection, org_id: str, chain: str, start: int, upto: int
) -> tuple[list[Row], int]:
    """The rows of the next seal and its last batch; whole batches, MOST_ROWS at most."""
    rows: list[Row] = []
    last = start
    while not rows and last < upto:
        begin, last = last, min(upto, last + STEP_BATCHES)
        rows = await connection.fetch(SQL[chain], org_id, begin, last, MOST_ROWS + 1)
    if len(rows) > MOST_ROWS:
        last = rows[-1]["batch_id"] - 1
        rows = [row for row in rows if row["batch_id"] <= last]
    return rows, last


async def _writing(pool: Pool) -> set[str]:
    return {row["virtualtransaction"] for row in await pool.fetch(SQL["writing"])}


async def _write(connection: Connection, made: Seal) -> None:
    await connection.execute(
        SQL["insert"],
        made.org_id,
        made.chain,
        made.number,
        made.first_batch,
        made.last_batch,
        made.rows,
        made.sealed_at,
        made.root,
        made.previous,
        made.hash,
        made.marks,
    )
