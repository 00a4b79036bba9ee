"""What is held now, oldest first; `lost`: its sidecar died and nobody settled it yet."""

from typing import Any, Literal
from uuid import UUID

from spendra_control_plane.access.callers import Seen
from spendra_control_plane.authoring.amounts import amount
from spendra_control_plane.stores.postgres import Pool, Row
from spendra_control_plane.stores.sql import statements

SQL = statements("reporting")
State = Literal["reserved", "lost"]


async def page(
    pool: Pool, seen: Seen, state: State | None, after: UUID | None, limit: int
) -> list[dict[str, Any]]:
    """Open reservations whose id comes after `after` (empty: from the start)."""
    rows = await pool.fetch(SQL["open"], seen.org_id, state, after or None, limit, seen.reach)
    return [_view(row) for row in rows]


def _view(row: Row) -> dict[str, Any]:
    return {
        "id": str(row["reservation_id"]),
        "decision_id": str(row["decision_id"]),
        "state": row["state"],
        "sidecar_id": row["sidecar_id"],
        "reserved_at": row["reserved_at"],
        "lost_at": row["lost_at"],
        "provider": row["provider"],
        "requested_model": row["requested_model"],
        "accounts": row["account_ids"],
        "scope": row["facts"],
        **amount("reserved", row["reserved_nanousd"]),
    }
