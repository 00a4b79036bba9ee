"""Lost reservations: what becomes of them by rule, and how an operator ends one."""

from datetime import datetime
from typing import Any
from uuid import UUID

from spendra_control_plane.authoring.amounts import amount
from spendra_control_plane.authoring.refusals import refuse_conflict, refuse_missing
from spendra_control_plane.stores.postgres import Pool
from spendra_control_plane.stores.sql import statements

SQL = statements("adjustments")


async def end(
    pool: Pool, org_id: str, reservation_id: UUID, cost_nanousd: int | None, reason: str, by: str
) -> dict[str, Any]:
    """Release it (`cost_nanousd` None) or post it at a cost. Raises Refusal while it may leave."""
    arguments = (org_id, reservation_id, cost_nanousd, reason, by)
    outcome = await pool.fetchval(SQL["end_lost"], *arguments)
    if outcome is None:
        await _refuse(pool, org_id, reservation_id)
    return {
        "id": str(reservation_id),
        "state": outcome,
        "reason": reason,
        **amount("cost", cost_nanousd or 0),
    }


async def _refuse(pool: Pool, org_id: str, reservation_id: UUID) -> None:
    found = await pool.fetchrow(SQL["open_state"], org_id, reservation_id)
    if found is None:
        refuse_missing("open reservation", str(reservation_id))
    if found["state"] == "lost":
        refuse_conflict(
            f"The reservation can be ended from {found['endable_at'].isoformat()} on: until then"
            " its sidecar, if it only slept, may still send the request."
        )
    refuse_conflict("The reservation is not lost: its sidecar is alive and will settle it.")


async def endings(
    pool: Pool, org_id: str, before: tuple[datetime, UUID] | None, limit: int
) -> list[dict[str, Any]]:
    """What operators ended by hand, newest first."""
    rows = await pool.fetch(SQL["lost_endings"], org_id, *(before or (None, None)), limit)
    return [
        {
            **{name: value for name, value in row.items() if name != "cost_nanousd"},
            **amount("cost", row["cost_nanousd"]),
        }
        for row in rows
    ]


async def rule(pool: Pool, org_id: str) -> dict[str, Any]:
    row = await pool.fetchrow(SQL["lost_rule"], org_id)
    return _view(row)


async def set_rule(pool: Pool, org_id: str, chosen: str, after_s: int | None) -> dict[str, Any]:
    """`after_s` None: the worker's SPENDRA_LOST_AFTER_S."""
    return _view(await pool.fetchrow(SQL["set_lost_rule"], org_id, chosen, after_s))


def _view(row: Any) -> dict[str, Any]:
    return {"rule": row["lost_rule"], "after_s": row["lost_after_s"]}
