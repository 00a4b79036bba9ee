"""When the balances in Redis were found wrong, and what was wrong with them."""

from datetime import datetime
from typing import Any

from spendra_control_plane.stores.postgres import Pool
from spendra_control_plane.stores.sql import statements

SQL = statements("adjustments")


async def page(
    pool: Pool, org_id: str, before: datetime | None, limit: int
) -> list[dict[str, Any]]:
    """Newest first; each with up to 100 findings, their figures in nano-USD."""
    return [dict(row) for row in await pool.fetch(SQL["reconciliations"], org_id, before, limit)]
