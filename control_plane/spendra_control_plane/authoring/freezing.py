"""The kill switch: an organization's spending is stopped, durably, from the next call on."""

import logging
from typing import Any

from spendra_control_plane.stores.postgres import Pool
from spendra_control_plane.stores.redis import Floor, FloorError
from spendra_control_plane.stores.sql import statements

SQL = statements("organizations")
_log = logging.getLogger(__name__)


async def freeze(pool: Pool, floor: Floor, org_id: str, reason: str | None) -> dict[str, Any]:
    """Again: the first moment stays, the reason is replaced."""
    return await _set(pool, floor, org_id, reason, is_frozen=True)


async def unfreeze(pool: Pool, floor: Floor, org_id: str) -> dict[str, Any]:
    return await _set(pool, floor, org_id, None, is_frozen=False)


async def state(pool: Pool, org_id: str) -> dict[str, Any]:
    row = await pool.fetchrow(SQL["freeze_state"], org_id)
    assert row is not None  # noqa: S101 - the token named it
    return {
        "id": org_id,
        "name": row["name"],
        "is_frozen": row["frozen_at"] is not None,
        "frozen_at": row["frozen_at"],
        "frozen_reason": row["frozen_reason"],
        "kept_since": row["kept_since"],
    }


async def _set(
    pool: Pool, floor: Floor, org_id: str, reason: str | None, *, is_frozen: bool
) -> dict[str, Any]:
    """Postgres decides; what Redis does not take now, the worker brings to it."""
    await pool.execute(SQL["freeze"], org_id, is_frozen, reason)
    try:
        await floor.set_frozen(org_id, is_frozen=is_frozen)
    except FloorError as error:
        _log.warning("Redis did not take the freeze of %s, the worker will: %s", org_id, error)
    return await state(pool, org_id)
