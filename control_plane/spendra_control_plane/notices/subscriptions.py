"""Subscriptions: which events a channel is sent."""

from typing import Any

from spendra_control_plane.authoring.organizations import new_id
from spendra_control_plane.authoring.refusals import refuse_conflict, refuse_invalid, refuse_missing
from spendra_control_plane.notices import channels
from spendra_control_plane.notices.events import EVENTS, unknown
from spendra_control_plane.stores.postgres import Connection, Pool, Row
from spendra_control_plane.stores.sql import statements

SQL = statements("channels")


async def create(
    pool: Pool, org_id: str, channel_id: str, events: list[str], budgets: list[str] | None
) -> dict[str, Any]:
    """`budgets`: of budgets' events only those about these. Raises Refusal."""
    _check(events)
    subscription_id = new_id("sub")
    async with pool.acquire() as connection, connection.transaction():
        await channels.require_open(connection, org_id, channel_id)
        await _check_budgets(connection, org_id, budgets)
        await connection.execute(
            SQL["subscribe"], org_id, subscription_id, channel_id, events, budgets
        )
        made = await connection.fetchrow(SQL["subscription"], org_id, subscription_id)
    return _view(_found(made, subscription_id))


async def remove(pool: Pool, org_id: str, subscription_id: str) -> dict[str, Any]:
    row = await pool.fetchrow(SQL["unsubscribe"], org_id, subscription_id)
    return {**_view(_found(row, subscription_id)), "state": "removed"}


async def get(pool: Pool, org_id: str, subscription_id: str) -> dict[str, Any]:
    row = await pool.fetchrow(SQL["subscription"], org_id, subscription_id)
    return _view(_found(row, subscription_id))


async def page(
    pool: Pool, org_id: str, channel_id: str | None, after: str, limit: int
) -> list[dict[str, Any]]:
    rows = await pool.fetch(SQL["subscriptions"], org_id, channel_id, after, limit)
    return [_view(row) for row in rows]


def _check(events: list[str]) -> None:
    strange = unknown(events)
    if strange:
        refuse_invalid(
            f"events: {strange[0]!r} is none of {', '.join(EVENTS)}; "
            "'budget.*' means all of a kind, and '*' all."
        )


async def _check_budgets(connection: Connection, org_id: str, budgets: list[str] | None) -> None:
    missing = await connection.fetch(SQL["missing_budgets"], org_id, budgets or [])
    if missing:
        refuse_conflict(f"There is no budget {missing[0]['wanted']!r} in this organization.")


def _found(row: Row | None, subscription_id: str) -> Row:
    if row is None:
        refuse_missing("subscription", subscription_id)
    return row


def _view(row: Row) -> dict[str, Any]:
    return dict(row.items())
