"""The outbox: notices are raised into it in one statement, and sent from it by jobs."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from spendra_control_plane.authoring.refusals import refuse_conflict, refuse_missing
from spendra_control_plane.notices import channels
from spendra_control_plane.stores.postgres import Connection, Pool, Row
from spendra_control_plane.stores.sql import statements

SQL = statements("notices")
Before = tuple[datetime, UUID] | None


async def raise_once(
    connection: Connection | Pool,
    org_id: str,
    event: str,
    *,
    subject: str,
    period: str,
    facts: dict[str, Any],
    budget_id: str | None = None,
) -> bool:
    """Whether this is the first of its event, subject and period, over all workers."""
    columns = (event, subject, period, budget_id, facts)
    return await connection.fetchval(SQL["raise"], org_id, *columns) is not None


async def try_channel(pool: Pool, org_id: str, channel_id: str, asked_by: str) -> dict[str, Any]:
    """Send the channel a notice of its own, subscribed to or not; the delivery to watch."""
    async with pool.acquire() as connection, connection.transaction():
        row = await channels.require_open(connection, org_id, channel_id)
        if row["state"] != "active":
            refuse_conflict("The channel is paused; make it active first.")
        facts = {"channel": row["name"], "asked_by": asked_by}
        made = await connection.fetchval(
            SQL["raise_to"], org_id, "channel.test", channel_id, str(uuid4()), facts
        )
        return await _delivery(connection, org_id, made)


async def replay(pool: Pool, org_id: str, delivery_id: UUID) -> dict[str, Any]:
    """Send it once more, under its old id. Raises Refusal while it is waiting."""
    async with pool.acquire() as connection, connection.transaction():
        replayed = await connection.fetchval(SQL["replay"], org_id, delivery_id)
        delivery = await _delivery(connection, org_id, delivery_id)
    if replayed is None:
        refuse_conflict("This delivery is waiting to be sent already.")
    return delivery


async def delivery(pool: Pool, org_id: str, delivery_id: UUID) -> dict[str, Any]:
    async with pool.acquire() as connection:
        return await _delivery(connection, org_id, delivery_id)


async def deliveries(
    pool: Pool,
    org_id: str,
    wanted: tuple[str | None, str | None, UUID | None],
    before: Before,
    limit: int,
) -> list[dict[str, Any]]:
    """Newest first; `wanted` is a state, a channel and a notice, each None for any."""
    moment, last = before or (None, None)
    rows = await pool.fetch(SQL["deliveries"], org_id, *wanted, moment, last, limit)
    return [dict(row.items()) for row in rows]


async def page(
    pool: Pool, org_id: str, event: str | None, before: Before, limit: int
) -> list[dict[str, Any]]:
    """Newest first."""
    moment, last = before or (None, None)
    return [
        dict(r.items()) for r in await pool.fetch(SQL["page"], org_id, event, moment, last, limit)
    ]


async def _delivery(connection: Connection, org_id: str, delivery_id: UUID) -> dict[str, Any]:
    row: Row | None = await connection.fetchrow(SQL["delivery"], org_id, delivery_id)
    if row is None:
        refuse_missing("delivery", str(delivery_id))
    return dict(row.items())
