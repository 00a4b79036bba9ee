"""From when on the record is kept: what is asked of a time before it has no honest answer."""

from datetime import datetime

from spendra_control_plane.authoring.refusals import refuse_invalid
from spendra_control_plane.stores.postgres import Pool
from spendra_control_plane.stores.sql import statements

SQL = statements("retirement")


async def require_kept(pool: Pool, org_id: str, start: datetime | None) -> None:
    """Raises Refusal for a start before that. None: whatever is kept is meant."""
    if start is None:
        return
    since: datetime | None = await pool.fetchval(SQL["kept_since"], org_id)
    if since is not None and start < since:
        day = f"{since:%Y-%m-%d}"
        refuse_invalid(f"Events before {day} are no longer kept; GET /v1/spend has their sums.")
