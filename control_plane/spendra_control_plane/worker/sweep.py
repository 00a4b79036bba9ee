"""What the worker does for one organization: each step may run twice, or beside another's."""

import logging

from spendra.balances import frozen_key
from spendra_control_plane.stores.postgres import Connection, Pool
from spendra_control_plane.stores.sql import statements
from spendra_control_plane.worker.holds import Client, Hold, Holds

_log = logging.getLogger(__name__)
_SQL = statements("worker")
_JUST_LOST = """SELECT reservation_id FROM spendra.reservations
    WHERE org_id = $1 AND state = 'lost' AND slots <> ''
    AND lost_at > now() - interval '1 minute'"""
_SETTLING_MS = 10_000
"""A hold this young may still be on its way through a sidecar."""


async def label_lost(pool: Pool, org_id: str) -> int:
    """Label as lost what sidecars without a lease left open. Lost money stays counted."""
    lost: int = await pool.fetchval("SELECT spendra.label_lost($1)", org_id)
    if lost:
        _log.warning(
            "%s: %d reservations of lapsed sidecars are lost, and stay counted", org_id, lost
        )
    return lost


async def post_lost(pool: Pool, org_id: str, after_s: int) -> int:
    """End what has been lost for the organization's time (else `after_s`) by its rule."""
    posted: int = await pool.fetchval("SELECT spendra.post_lost($1, $2)", org_id, after_s)
    if posted:
        _log.warning("%s: ended %d lost reservations by rule", org_id, posted)
    return posted


async def end_pending(pool: Pool, org_id: str) -> int:
    """Book at their worst case responses and batches that nobody asked for again in time."""
    ended: int = await pool.fetchval("SELECT spendra.end_pending($1)", org_id)
    if ended:
        _log.warning("%s: %d requests in the background were never heard of", org_id, ended)
    return ended


async def book_evidence(pool: Pool, org_id: str) -> int:
    """Book as adjustments the settlements that came after their reservation's end by rule."""
    booked: int = await pool.fetchval(_SQL["book_evidence"], org_id)
    if booked:
        _log.warning("%s: adjusted %d lost reservations to what they cost", org_id, booked)
    return booked


async def fold(pool: Pool, org_id: str) -> int:
    """Fold movements that have settled down into their accounts' totals."""
    newest: int | None = await pool.fetchval(
        "SELECT max(batch_id) FROM spendra.account_movements WHERE org_id = $1", org_id
    )
    if newest is None:
        return 0
    folded: int = await pool.fetchval("SELECT spendra.fold_movements($1, $2)", org_id, newest)
    return folded


async def reconcile(pool: Pool, client: Client, org_id: str) -> int:
    """End holds in Redis whose reservation has ended, or never was, in Postgres."""
    generation = await pool.fetchval("SELECT spendra.current_generation($1)", org_id)
    if generation is None:
        return 0
    holds = Holds(client, org_id, generation)
    old = await holds.older_than(_SETTLING_MS)
    if not old:
        return 0
    async with pool.acquire() as connection:
        ended = [await _end(connection, holds, org_id, hold) for hold in old]
    if any(ended):
        _log.warning("%s: brought %d holds in Redis in line with Postgres", org_id, sum(ended))
    return sum(ended)


async def withdraw(pool: Pool, client: Client, org_id: str) -> int:
    """Take the balances of closed generations out of Redis, so that nothing is refused by them."""
    rows = await pool.fetch(_SQL["closed_generations"], org_id)
    for row in rows:
        await Holds(client, org_id, row["generation"]).withdraw()
        await pool.execute(_SQL["forget_generation"], org_id, row["generation"])
    return len(rows)


async def let_go(pool: Pool, client: Client, org_id: str) -> int:
    """Free the concurrency of what was lost a moment ago. It may be done twice."""
    generation = await pool.fetchval("SELECT spendra.current_generation($1)", org_id)
    rows = await pool.fetch(_JUST_LOST, org_id)
    if generation is None or not rows:
        return 0
    holds = Holds(client, org_id, generation)
    for row in rows:
        await holds.let_go(row["reservation_id"])
    return len(rows)


async def freeze(pool: Pool, client: Client, org_id: str) -> None:
    """Bring the kill switch in Redis in line with Postgres."""
    key, wanted = frozen_key(org_id), await pool.fetchval("SELECT spendra.is_frozen($1)", org_id)
    if wanted == bool(await client.exists(key)):
        return
    _log.warning("%s: spending is %s in Redis too", org_id, "stopped" if wanted else "resumed")
    await (client.set(key, 1) if wanted else client.delete(key))


async def forget_claims(pool: Pool, org_id: str) -> None:
    """Idempotency keys older than their retention."""
    await pool.execute("SELECT spendra.forget_claims($1)", org_id)


async def _end(connection: Connection, holds: Holds, org_id: str, hold: Hold) -> bool:
    """Whether the hold had to be ended here."""
    if await _is_open(connection, org_id, hold):
        return False
    cost_nanousd = await _cost(connection, org_id, hold)
    if cost_nanousd is None:
        await connection.execute(
            "SELECT spendra.give_up($1, $2, 'never_durable')", org_id, hold.reservation_id
        )
        cost_nanousd = await _cost(connection, org_id, hold)
    if cost_nanousd is None:
        await holds.void(hold.reservation_id)
    else:
        await holds.post(hold.reservation_id, cost_nanousd)
    return True


async def _is_open(connection: Connection, org_id: str, hold: Hold) -> bool:
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM spendra.reservations"
        " WHERE org_id = $1 AND reservation_id = $2)",
        org_id,
        hold.reservation_id,
    )
    return found


async def _cost(connection: Connection, org_id: str, hold: Hold) -> int | None:
    cost: int | None = await connection.fetchval(
        "SELECT cost_nanousd FROM spendra.spend_events WHERE org_id = $1 AND reservation_id = $2",
        org_id,
        hold.reservation_id,
    )
    return cost
