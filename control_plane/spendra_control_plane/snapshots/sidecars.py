"""What is known of each sidecar: its stream, the snapshot it obeys, and what it refused."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from spendra_control_plane.snapshots.feed import Feed, Subscription
from spendra_control_plane.stores.postgres import Pool, Row, StoreError
from spendra_control_plane.stores.sql import statements

SQL = statements("sidecars")
TOUCH_S = 2.0
LOG = logging.getLogger(__name__)


class Acknowledgement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a sidecar says of a snapshot, and again every few seconds as its heartbeat."""

    sidecar_id: str
    version: int
    state: Literal["applied", "refused"]
    error: str | None = None


@dataclass(frozen=True)
class Sidecars:
    pool: Pool

    async def connected(self, subscription: Subscription) -> None:
        await self.pool.execute(SQL["connected"], *_identity(subscription), subscription.token_id)

    async def disconnected(self, subscription: Subscription) -> None:
        """Never raises: a row left behind turns `disconnected` by its age."""
        try:
            await self.pool.execute(SQL["disconnected"], *_identity(subscription))
        except StoreError as error:
            LOG.warning("Could not record that a sidecar's stream ended: %s", error)

    async def touch(self, feed: Feed) -> None:
        """Record every two seconds that the streams of this process are open, for ever."""
        while True:
            await asyncio.sleep(TOUCH_S)
            try:
                await self._touch_once(feed.subscriptions())
            except StoreError as error:
                LOG.warning("Could not record which sidecars are connected: %s", error)

    async def _touch_once(self, subscriptions: list[Subscription]) -> None:
        if subscriptions:
            columns = zip(*map(_identity, subscriptions), strict=True)
            await self.pool.execute(SQL["touch"], *map(list, columns))

    async def acknowledge(self, org_id: str, said: Acknowledgement) -> None:
        arguments = (org_id, said.sidecar_id, said.version)
        if said.state == "applied":
            await self.pool.execute(SQL["applied"], *arguments)
        else:
            await self.pool.execute(SQL["refused"], *arguments, said.error or "no reason given")

    async def page(self, org_id: str, after: str, limit: int) -> list[dict[str, Any]]:
        rows = await self.pool.fetch(SQL["page"], org_id, after, limit)
        return [_view(row) for row in rows]


def _identity(subscription: Subscription) -> tuple[str, str, object]:
    return subscription.org_id, subscription.sidecar_id, subscription.connection_id


def _view(row: Row) -> dict[str, Any]:
    return {**row, "age_s": round(row["age_s"], 3)}
