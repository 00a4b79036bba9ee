"""Rollups: what can no longer change is added to the sums of its hour and day, once."""

import time
from typing import Final

from spendra_control_plane.stores.postgres import Pool
from spendra_control_plane.stores.sql import statements
from spendra_control_plane.worker import sealing

SQL = statements("rollups")
STEP_BATCHES: Final = 2_000
"""At a time: of full batches, a few seconds' work and one transaction."""
LABEL_VALUES: Final = 10_000
"""A label that has more is not summed up any more."""
_MOST_S: Final = 5.0
"""Then the rest waits for the next round: whoever has much to catch up has other work too."""


async def roll_up(pool: Pool, org_ids: list[str], label_values: int = LABEL_VALUES) -> bool:
    """Whether everything is in that was booked before this began. It may be done twice."""
    now = await pool.fetchval(SQL["now"])
    upto = await sealing.horizon(pool)
    if upto is None:
        return False
    enough_at = time.monotonic() + _MOST_S
    told = (STEP_BATCHES, now, label_values)
    done = [await _one(pool, org_id, upto, told, enough_at) for org_id in org_ids]
    return all(done)


async def _one(
    pool: Pool, org_id: str, upto: int, told: tuple[object, ...], enough_at: float
) -> bool:
    """At least one step, so that no organization waits for another for ever."""
    while True:
        reached = await pool.fetchval(SQL["roll_up"], org_id, upto, *told)
        if reached is None:
            return False
        if reached >= upto:
            return True
        if time.monotonic() > enough_at:
            return False
