"""Prices of the customer's own: rates for what a model uses, or a share of the catalog's.

They are written once and ended, never changed: costs that were booked name them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from spendra._hot import Cost, HotError, PriceBook
from spendra_control_plane.authoring import editions
from spendra_control_plane.authoring.amounts import amount
from spendra_control_plane.authoring.organizations import new_id
from spendra_control_plane.authoring.refusals import (
    refuse_conflict,
    refuse_invalid,
    refuse_missing,
)
from spendra_control_plane.snapshots.compile import own_prices
from spendra_control_plane.snapshots.prices import prices_segment
from spendra_control_plane.snapshots.publish import Publisher
from spendra_control_plane.stores.postgres import Connection, Pool, Row
from spendra_control_plane.stores.sql import statements

SQL = statements("prices")
NO_CATALOG = b'{"version":"","providers":[]}'


@dataclass(frozen=True, kw_only=True)
class Draft:
    """`rates` as the snapshot says them, or `multiplier`. `starts_at` None: from now on."""

    name: str
    provider: str
    model: str
    service_tier: str | None
    rates: dict[str, Any] | None
    multiplier: str | None
    starts_at: datetime | None
    ends_at: datetime | None

    def check(self) -> None:
        """Raises Refusal for rates or a share that the price book cannot read."""
        row = {**vars(self), "id": "new", "starts_at": None, "ends_at": None}
        try:
            PriceBook.load(prices_segment(NO_CATALOG, [row]))
        except HotError as error:
            refuse_invalid(str(error))


async def create(publisher: Publisher, org_id: str, draft: Draft) -> dict[str, Any]:
    draft.check()
    price_id = new_id("prc")
    async with publisher.change(org_id) as change:
        # What is dearer must be held for at once.
        change.restricts = True
        await change.connection.execute(
            SQL["insert"], org_id, price_id, draft.name, draft.provider.lower(),
            draft.model.lower(), draft.service_tier, draft.rates, draft.multiplier,
            draft.starts_at, draft.ends_at,
        )  # fmt: skip
        return _view(await _read(change.connection, org_id, price_id))


async def end(
    publisher: Publisher,
    org_id: str,
    price_id: str,
    at: datetime | None,
    if_match: str | None = None,
) -> dict[str, Any]:
    """From then on it holds no more. None: from now on. Earlier than its start: it never held."""
    async with publisher.change(org_id) as change:
        change.restricts = True
        row = await _read(change.connection, org_id, price_id)
        editions.check(if_match, _view(row))
        if row["ends_at"] is not None and (at is None or row["ends_at"] <= at):
            refuse_conflict(f"The price {price_id!r} has an end already: {row['ends_at']}.")
        await change.connection.execute(SQL["end"], org_id, price_id, at)
        return _view(await _read(change.connection, org_id, price_id))


async def get(pool: Pool, org_id: str, price_id: str) -> dict[str, Any]:
    async with pool.acquire() as connection:
        return _view(await _read(connection, org_id, price_id))


async def page(
    pool: Pool, org_id: str, at: datetime | None, after: str, limit: int
) -> list[dict[str, Any]]:
    return [_view(row) for row in await pool.fetch(SQL["page"], org_id, at, after, limit)]


async def book(pool: Pool, org_id: str, catalog: bytes) -> PriceBook:
    """What the newest snapshot holds, as the sidecars read it."""
    return PriceBook.load(prices_segment(catalog, await own_prices(pool, org_id)))


def quoted(cost: Cost | None, provider: str, model: str) -> dict[str, Any]:
    """Raises Refusal where nothing has a price for it."""
    if cost is None:
        refuse_invalid(f"There is no price of {model!r} at {provider!r} for that.")
    return {
        **amount("cost", cost.nanousd),
        "price_version": cost.price_version,
        "layer": cost.layer,
        "unpriced": cost.unpriced,
    }


async def _read(connection: Connection, org_id: str, price_id: str) -> Row:
    row = await connection.fetchrow(SQL["get"], org_id, price_id)
    if row is None:
        refuse_missing("price", price_id)
    return row


def _view(row: Row) -> dict[str, Any]:
    return dict(row.items())
