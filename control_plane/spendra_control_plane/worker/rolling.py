"""Rollups: what can no longer change is added to the sums of its hour and day, once."""

from typing import Final

from spendra_control_plane.stores.postgres import Pool
from spendra_control_plane.stores.sql import statements
from spendra_control_plane.worker import sealing

SQL = statements("rollups")
STEP_BATCHES: Final = 2_000
_MOST_STEPS: Final = 1_000


async def roll_up(pool: Pool, org_ids: list[str]) -> bool:
    """Whether everything is in that was booked before this began. It may be done twice."""
    now = await pool.fetchval(SQL["now"])
    upto = await sealing.horizon(pool)
    if upto is None:
        return False
    done = [await _one(pool, org_id, upto, now) for org_id in org_ids]
    return all(done)


async def _one(pool: Pool, org_id: str, upto: int, now: object) -> bool:
    for _ in range(_MOST_STEPS):
        reached = await pool.fetchval(SQL["roll_up"], org_id, upto, STEP_BATCHES, now)
        if reached is None:
            return False
        if reached >= upto:
            return True
    return False
