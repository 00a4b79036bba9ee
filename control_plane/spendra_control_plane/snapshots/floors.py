"""Raise the floor under policy versions in Redis, again and again while Redis is away."""

import asyncio
import logging

from spendra_control_plane.stores.postgres import Pool
from spendra_control_plane.stores.redis import Floor, FloorError
from spendra_control_plane.stores.sql import statements

SQL = statements("snapshots")
RETRY_S = 1.0
LOG = logging.getLogger(__name__)


class Floors:
    """Floors that Redis could not take are kept and tried again each second."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._owed: dict[str, int] = {}

    async def raise_to(self, org_id: str, version: int) -> None:
        """Never raises: the snapshot itself still reaches every connected sidecar."""
        owed = max(version, self._owed.get(org_id, 0))
        try:
            await self._floor.raise_to(org_id, owed)
        except FloorError as error:
            self._remember(org_id, owed, error)
        else:
            self._forget(org_id, owed)

    async def restore(self, pool: Pool) -> None:
        """Raise every organization's floor to what Postgres knows."""
        for row in await pool.fetch(SQL["floors"]):
            await self.raise_to(row["id"], row["min_version"])

    async def run(self) -> None:
        """Pay what is owed, for ever."""
        while True:
            await asyncio.sleep(RETRY_S)
            for org_id, version in list(self._owed.items()):
                await self.raise_to(org_id, version)

    def _remember(self, org_id: str, version: int, error: Exception) -> None:
        if not self._owed:
            LOG.warning("Redis did not take a policy floor, trying again each second: %s", error)
        self._owed[org_id] = version

    def _forget(self, org_id: str, version: int) -> None:
        if self._owed.get(org_id) == version:
            del self._owed[org_id]
