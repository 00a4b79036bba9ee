"""Tells waiting streams of new versions: LISTEN for speed, a poll each second as a net."""

import asyncio
import logging
from collections import defaultdict
from dataclasses import dataclass, field
from uuid import UUID

from spendra_control_plane.snapshots.views import View
from spendra_control_plane.stores.postgres import Pool, StoreError, listen
from spendra_control_plane.stores.sql import statements

SQL = statements("snapshots")
_TOKENS = statements("sidecar_tokens")
CHANNEL = "spendra_snapshots"
POLL_S = 1.0
LOG = logging.getLogger(__name__)


@dataclass(eq=False)
class Subscription:
    """One sidecar's open stream. `version` is the newest that was heard of."""

    org_id: str
    sidecar_id: str
    connection_id: UUID
    token_id: str
    view: View
    version: int = 0
    closed: bool = False
    send_whole: bool = False
    """A refused snapshot leaves it open which segments the sidecar kept."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self, timeout_s: float) -> bool:
        """Until something was heard, or so many seconds; whether it was heard."""
        try:
            await asyncio.wait_for(self.changed.wait(), timeout_s)
        except TimeoutError:
            return False
        self.changed.clear()
        return True

    def hear(self, version: int) -> None:
        if version > self.version:
            self.version = version
            self.changed.set()

    def close(self) -> None:
        self.closed = True
        self.changed.set()


class Feed:
    """Every open stream of this process."""

    def __init__(self) -> None:
        self._open: dict[str, set[Subscription]] = defaultdict(set)
        self._closing = False

    def subscribe(self, subscription: Subscription) -> None:
        self._open[subscription.org_id].add(subscription)
        if self._closing:
            subscription.close()

    def unsubscribe(self, subscription: Subscription) -> bool:
        """Whether nobody listens for that organization any more."""
        listeners = self._open[subscription.org_id]
        listeners.discard(subscription)
        if not listeners:
            del self._open[subscription.org_id]
        return not listeners

    def announce(self, org_id: str, version: int) -> None:
        for subscription in self._open.get(org_id, ()):
            subscription.hear(version)

    def refused(self, org_id: str, sidecar_id: str) -> None:
        """The next snapshot goes to this sidecar with all of its segments."""
        for subscription in self._open.get(org_id, ()):
            if subscription.sidecar_id == sidecar_id:
                subscription.send_whole = True

    def subscriptions(self) -> list[Subscription]:
        return [one for listeners in self._open.values() for one in listeners]

    def close(self) -> None:
        """End every stream, and each one that opens from now on."""
        self._closing = True
        for subscription in self.subscriptions():
            subscription.close()

    async def poll(self, pool: Pool) -> None:
        """Compare versions each second, for ever."""
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self._poll_once(pool)
            except StoreError as error:
                LOG.warning("Postgres did not answer the poll for new snapshots: %s", error)

    async def _poll_once(self, pool: Pool) -> None:
        if self._open:
            for row in await pool.fetch(SQL["versions"], list(self._open)):
                self.announce(row["id"], row["config_version"])
            await self._end_revoked(pool)

    async def _end_revoked(self, pool: Pool) -> None:
        """A stream lasts no longer than the token that it was opened with."""
        tokens = list({one.token_id for one in self.subscriptions()})
        ended = {row["id"] for row in await pool.fetch(_TOKENS["ended"], tokens)}
        for subscription in self.subscriptions():
            if subscription.token_id in ended:
                subscription.close()

    async def listen(self, database_url: str) -> None:
        """Hold one listening connection, and open it again whenever it is lost, for ever."""
        while True:
            try:
                await self._listen_once(database_url)
            except StoreError as error:
                LOG.warning("Not listening for new snapshots, polling meanwhile: %s", error)
            await asyncio.sleep(POLL_S)

    async def _listen_once(self, database_url: str) -> None:
        lost = asyncio.Event()
        connection = await listen(database_url, CHANNEL, self._heard, lost.set)
        try:
            await lost.wait()
        finally:
            await connection.close()

    def _heard(self, payload: str) -> None:
        org_id, _, version = payload.partition(":")
        self.announce(org_id, int(version))
