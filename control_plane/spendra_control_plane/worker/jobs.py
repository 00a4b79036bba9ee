"""Jobs in Postgres, kept by pgqueuer: done at least once, by whichever worker takes them first.

A worker that dies stops renewing its jobs; another takes them when their lease is over.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver
from pgqueuer.adapters.persistence.qb import (
    QueryBuilderEnvironment,
    QueryQueueBuilder,
    QuerySchedulerBuilder,
)
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import PgqException, RetryRequested
from pgqueuer.domain.models import Job
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel

from spendra_control_plane.stores.postgres import StoreError

_log = logging.getLogger(__name__)

# Each name is given: the library would read those left out from the environment.
SETTINGS: Final = DBSettings(
    prefix="",
    db_schema="spendra",
    channel=Channel("spendra_jobs"),
    function="jobs_changed",
    statistics_table="job_statistics",
    queue_status_type="job_status",
    queue_table="jobs",
    queue_table_log="job_log",
    trigger="jobs_changed",
    schedules_table="job_schedules",
    durability=Durability.durable,
)
Handler = Callable[[bytes], Awaitable[timedelta | None]]
"""Does a job by its payload: None when it is done, else how long to wait before the next try."""
_LOOK_EVERY = timedelta(seconds=5)
_AT_ONCE = 8
_AGAIN_S = 2.0


class Jobs:
    """`pool` is a plain asyncpg pool of its own, without codecs."""

    def __init__(self, pool: Any, lease: timedelta) -> None:
        self._pool, self._lease = pool, lease
        self._manager: QueueManager | None = None
        self._stopping = False

    async def enqueue(self, name: str, payloads: list[bytes], keys: list[str]) -> list[bool]:
        """Whether each is a new job: a key that a job in the queue has makes none."""
        count = len(payloads)
        made = await self._queries().enqueue(
            [name] * count, list(payloads), [0] * count, None, list(keys), on_conflict="skip"
        )
        return [job_id is not None for job_id in made]

    async def run(self, handlers: Mapping[str, Handler]) -> None:
        """Until `stop`. A store that is away is waited for."""
        while not self._stopping:
            self._manager = self._make(handlers)
            try:
                await self._manager.run(
                    dequeue_timeout=_LOOK_EVERY,
                    batch_size=_AT_ONCE,
                    max_concurrent_tasks=2 * _AT_ONCE,
                    shutdown_on_listener_failure=True,
                    heartbeat_timeout=self._lease,
                )
            except (*StoreError, PgqException) as error:
                _log.warning("jobs wait for Postgres: %s", type(error).__name__)
            if not self._stopping:
                await asyncio.sleep(_AGAIN_S)

    def stop(self) -> None:
        """What is being done is finished; nothing new is begun."""
        self._stopping = True
        if self._manager is not None:
            self._manager.shutdown.set()

    def _queries(self) -> Queries:
        return Queries(
            AsyncpgPoolDriver(self._pool),
            QueryBuilderEnvironment(SETTINGS),
            QueryQueueBuilder(SETTINGS),
            QuerySchedulerBuilder(SETTINGS),
        )

    def _make(self, handlers: Mapping[str, Handler]) -> QueueManager:
        manager = QueueManager(self._queries(), SETTINGS.channel)
        for name, handler in handlers.items():
            manager.entrypoint(name, accepts_context=False)(_entry(handler))
        return manager


def _entry(handler: Handler) -> Callable[[Job], Awaitable[None]]:
    async def do(job: Job) -> None:
        wait = await handler(job.payload or b"")
        if wait is not None:
            raise RetryRequested(delay=wait)

    return do
