"""What is to be told is looked for, and told once over all workers: a unique row decides."""

from spendra_control_plane.notices import outbox
from spendra_control_plane.notices.events import RAISED
from spendra_control_plane.stores.postgres import Pool
from spendra_control_plane.stores.sql import statements

SQL = statements("alerts")


async def look(pool: Pool, org_id: str) -> int:
    """How many notices were raised. Harmless to do twice, or beside another."""
    return sum([await _one(pool, org_id, event) for event in RAISED])


async def _one(pool: Pool, org_id: str, event: str) -> int:
    rows = await pool.fetch(SQL[event.replace(".", "_")], org_id)
    raised = [
        await outbox.raise_once(
            pool,
            org_id,
            event,
            subject=row["subject"],
            period=row["period"],
            facts=row["facts"],
            budget_id=row["budget_id"],
        )
        for row in rows
    ]
    return sum(raised)
