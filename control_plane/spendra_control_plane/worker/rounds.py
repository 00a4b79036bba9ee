"""One round of the worker: what is done for each organization, and what for all of them."""

import asyncio
import logging
import time

from spendra_control_plane.stores.postgres import Pool, StoreError
from spendra_control_plane.stores.sql import statements
from spendra_control_plane.worker import alerting, auditing, notifying, rolling, sealing, sweep
from spendra_control_plane.worker.holds import Client, HoldError
from spendra_control_plane.worker.metrics import Metrics

_log = logging.getLogger(__name__)
_SQL = statements("worker")
_PARTITIONS_EVERY_S = 3600.0
_DRIFT_EVERY_S = 10.0
_SUMMARY_EVERY_S = 30.0
_ROLL_UP_EVERY_S = 10.0


class Every:
    """True at most once in so many seconds; the first time at once."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def is_due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


class Rounds:
    """`run` once every few seconds. What a round does may run twice, or beside another worker's."""

    def __init__(
        self,
        pool: Pool,
        client: Client,
        metrics: Metrics,
        queue: notifying.Queue,
        *,
        lost_after_s: int,
        audit_every_s: int,
        label_values: int,
    ) -> None:
        self._pool, self._client, self._metrics = pool, client, metrics
        self._queue = queue
        self._lost_after_s = lost_after_s
        self._label_values = label_values
        self._partitions = Every(_PARTITIONS_EVERY_S)
        self._drift = Every(_DRIFT_EVERY_S)
        self._audit = Every(audit_every_s)
        self._summary = Every(_SUMMARY_EVERY_S)
        self._roll_up = Every(_ROLL_UP_EVERY_S)
        self._sealer = sealing.Sealer(pool)
        self._sealed_at = time.monotonic()
        metrics.unsealed.set_function(lambda: time.monotonic() - self._sealed_at)

    async def run(self) -> bool:
        """Whether all was done. A store that is away is tried again in the next round, and one
        organization's trouble is not another's."""
        try:
            done = await self._run()
        except StoreError as error:
            _log.warning("this round ended early: %s", _said(error))
            done = False
        self._metrics.rounds.labels("done" if done else "failed").inc()
        return done

    async def _run(self) -> bool:
        if self._partitions.is_due():
            await self._make_partitions()
            await notifying.forget(self._pool)
        rows = await self._pool.fetch(_SQL["organizations"])
        org_ids = [row["id"] for row in rows]
        done = [await self._sweep(org_id) for org_id in org_ids]
        await self._seal(org_ids)
        if self._roll_up.is_due():
            await self._report(org_ids)
        await self._look(org_ids)
        await self._post()
        return all(done)

    async def _sweep(self, org_id: str) -> bool:
        try:
            await self._books(org_id)
            await self._balances(org_id)
        except (*StoreError, *HoldError) as error:
            _log.warning("%s: this round ended early: %s", org_id, _said(error))
            return False
        return True

    async def _books(self, org_id: str) -> None:
        await sweep.label_lost(self._pool, org_id)
        await sweep.forget_claims(self._pool, org_id)
        await sweep.post_lost(self._pool, org_id, self._lost_after_s)
        await sweep.end_pending(self._pool, org_id)
        await sweep.book_evidence(self._pool, org_id)
        await sweep.fold(self._pool, org_id)
        self._metrics.lost.labels(org_id).set(await self._pool.fetchval(_SQL["lost"], org_id))

    async def _balances(self, org_id: str) -> None:
        await sweep.withdraw(self._pool, self._client, org_id)
        await sweep.freeze(self._pool, self._client, org_id)
        await sweep.let_go(self._pool, self._client, org_id)
        await sweep.reconcile(self._pool, self._client, org_id)

    async def _make_partitions(self) -> None:
        made = await self._pool.fetchval(_SQL["make_partitions"])
        if made:
            _log.info("made partitions: %s", ", ".join(made))

    async def _seal(self, org_ids: list[str]) -> None:
        began = time.monotonic()
        if self._summary.is_due():
            await self._pool.execute(_SQL["summarize"])
        upto = await sealing.horizon(self._pool)
        if upto is None:
            _log.warning("a transaction holds a batch open; nothing was sealed in this round")
            return
        for org_id in org_ids:
            for seal in await self._sealer.seal_all(org_id, upto):
                _log.info("%s: sealed %s %d:%s", org_id, seal.chain, seal.number, seal.hash)
        self._sealed_at = began

    async def _report(self, org_ids: list[str]) -> None:
        await rolling.roll_up(self._pool, org_ids, self._label_values)
        for org_id in org_ids:
            await alerting.look(self._pool, org_id)

    async def _post(self) -> None:
        """What was raised, here or elsewhere, becomes jobs."""
        await notifying.relay(self._pool, self._queue)
        counts = await notifying.undelivered(self._pool)
        for state, number in counts.items():
            self._metrics.undelivered.labels(state).set(number)

    async def _look(self, org_ids: list[str]) -> None:
        drift, audit = self._drift.is_due(), self._audit.is_due()
        for org_id in org_ids:
            if drift:
                await self._look_at_balances(org_id)
            if audit:
                await auditing.audit_recent(self._pool, org_id, self._metrics)
            await asyncio.sleep(0)

    async def _look_at_balances(self, org_id: str) -> None:
        try:
            await auditing.check_drift(self._pool, self._client, org_id, self._metrics)
        except HoldError as error:
            _log.warning("%s: balances were not compared: %s", org_id, _said(error))


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
