"""From the outbox to the people: deliveries become jobs, and jobs send them."""

import logging
from datetime import timedelta
from typing import Final, NamedTuple, Protocol
from uuid import UUID

import msgspec

from spendra_control_plane.notices.events import Notice
from spendra_control_plane.notices.letters import Letter
from spendra_control_plane.notices.sending import Sender, SendError
from spendra_control_plane.stores.postgres import Pool, Row
from spendra_control_plane.stores.sql import statements
from spendra_control_plane.stores.vault import Vault
from spendra_control_plane.worker.metrics import Metrics

_log = logging.getLogger(__name__)
SQL = statements("notices")
DELIVER: Final = "deliver"
_OVERDUE: Final = timedelta(minutes=2)
"""So long after it should have been tried, a delivery's job is thought lost."""
_STEPS: Final = 4
_MOST_STEPS: Final = 10
_LONGEST_WAIT: Final = timedelta(hours=6)


class Queue(Protocol):
    """Where jobs are put."""

    async def enqueue(self, name: str, payloads: list[bytes], keys: list[str]) -> list[bool]: ...


class Patience(NamedTuple):
    """How often a delivery is tried, and how long after the first failure the second comes."""

    attempts: int
    first_wait: timedelta

    def wait(self, attempts: int) -> timedelta | None:
        """After so many failures; each time four times as long. None: no more."""
        if attempts >= self.attempts:
            return None
        times: int = _STEPS ** min(attempts - 1, _MOST_STEPS)
        return min(self.first_wait * times, _LONGEST_WAIT)


class Named(msgspec.Struct, frozen=True):
    """A job's payload."""

    org_id: str
    delivery_id: UUID


async def relay(pool: Pool, queue: Queue) -> int:
    """Make jobs of what waits and has none; how many. Harmless to do twice, or beside another."""
    rows = await pool.fetch(SQL["unqueued"], _OVERDUE)
    if not rows:
        return 0
    payloads = [msgspec.json.encode(Named(row["org_id"], row["id"])) for row in rows]
    made = await queue.enqueue(DELIVER, payloads, [str(row["id"]) for row in rows])
    new = [row for row, is_new in zip(rows, made, strict=True) if is_new]
    await pool.execute(SQL["queued"], [row["org_id"] for row in new], [row["id"] for row in new])
    return len(new)


async def undelivered(pool: Pool) -> dict[str, int]:
    """How many deliveries are `waiting` and `dead`."""
    counted = {row["state"]: row["deliveries"] for row in await pool.fetch(SQL["counts"])}
    return {state: counted.get(state, 0) for state in ("waiting", "dead")}


async def forget(pool: Pool) -> None:
    """The queue's own logs of what was done, which nobody reads after a while."""
    await pool.execute(SQL["forget_logs"])
    await pool.execute(SQL["forget_statistics"])


class Postman:
    """Does the jobs. What a receiver did not confirm is sent again, under the same id."""

    def __init__(
        self, pool: Pool, vault: Vault, sender: Sender, patience: Patience, metrics: Metrics
    ) -> None:
        self._pool, self._vault, self._sender = pool, vault, sender
        self._patience, self._metrics = patience, metrics

    async def deliver(self, payload: bytes) -> timedelta | None:
        """How long to wait before the next try; None when there is none."""
        named = msgspec.json.decode(payload, type=Named)
        row = await self._pool.fetchrow(SQL["attempt"], named.org_id, named.delivery_id)
        if row is None:
            return None
        if row["state"] != "active":
            await self._give_up(named, row, f"the channel is {row['state']}")
            return None
        try:
            await self._sender.send(self._letter(named.org_id, row))
        except SendError as error:
            return await self._failed(named, row, str(error))
        await self._pool.execute(SQL["delivered"], *_key(named))
        self._count(row, "delivered")
        return None

    def _letter(self, org_id: str, row: Row) -> Letter:
        channel_id, signing = row["channel_id"], row["signing_sealed"]
        address = self._vault.unseal(org_id, f"address {channel_id}", row["address_sealed"])
        return Letter(
            delivery_id=str(row["id"]),
            kind=row["kind"],
            address=address.decode(),
            signing=signing and self._vault.unseal(org_id, f"signing {channel_id}", signing),
            notice=_notice(org_id, row),
        )

    async def _failed(self, named: Named, row: Row, error: str) -> timedelta | None:
        wait = self._patience.wait(row["attempts"])
        if wait is None:
            await self._give_up(named, row, error)
        else:
            self._count(row, "failed")
            await self._pool.execute(SQL["failed"], *_key(named), error, wait)
        return wait

    async def _give_up(self, named: Named, row: Row, error: str) -> None:
        _log.warning(
            "%s: delivery %s of %s to %s is dead: %s",
            named.org_id, named.delivery_id, row["event"], row["channel_id"], error,
        )  # fmt: skip
        self._count(row, "dead")
        await self._pool.execute(SQL["dead"], *_key(named), error)

    def _count(self, row: Row, result: str) -> None:
        self._metrics.deliveries.labels(row["kind"], result).inc()


def _notice(org_id: str, row: Row) -> Notice:
    told = (row["raised_at"], row["event"], row["subject"], row["facts"])
    return Notice(str(row["notice_id"]), org_id, *told)


def _key(named: Named) -> tuple[str, UUID]:
    return named.org_id, named.delivery_id
