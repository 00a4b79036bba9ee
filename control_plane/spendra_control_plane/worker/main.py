"""The worker's life: rounds over every organization, and jobs, until told to stop."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator

import uvloop

from spendra.arguments import Parser
from spendra_control_plane.notices.sending import Sender
from spendra_control_plane.stores.postgres import Pool, StoreError, open_bare_pool, open_pool
from spendra_control_plane.stores.vault import Vault
from spendra_control_plane.worker.configuration import Config, load
from spendra_control_plane.worker.holds import open_client
from spendra_control_plane.worker.jobs import Jobs
from spendra_control_plane.worker.metrics import Metrics
from spendra_control_plane.worker.notifying import DELIVER, Postman
from spendra_control_plane.worker.retirement import Retirement
from spendra_control_plane.worker.rounds import Every, Rounds

_EXIT_CONFIG = 64
_EXIT_UNAVAILABLE = 69
_EVERY_S = 2.0
_RETIRE_EVERY_S = 3600.0
_log = logging.getLogger(__name__)
_DESCRIPTION = (
    "Runs a worker until SIGTERM or SIGINT. Its settings are variables, SPENDRA_DATABASE_URL and"
    " others: docs/configuration.md."
)


def main(argv: list[str]) -> int:
    """Run until SIGTERM or SIGINT."""
    Parser("spendra worker", description=_DESCRIPTION).parse_args(argv)
    try:
        config = load()
    except ValueError as error:
        sys.stderr.write(f"spendra worker: {error}\n")
        return _EXIT_CONFIG
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("pgqueuer").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return uvloop.run(_run(config))


async def _run(config: Config) -> int:
    metrics = Metrics()
    try:
        pool = await open_pool(config.database_url, largest=4)
        bare_pool = await open_bare_pool(config.database_url, largest=4)
    except StoreError as error:
        sys.stderr.write(f"spendra worker: Postgres cannot be reached: {error}\n")
        return _EXIT_UNAVAILABLE
    try:
        if config.port:
            metrics.serve(config.host, config.port, config.metrics_token)
    except OSError as error:
        sys.stderr.write(f"spendra worker: {config.host}:{config.port}: {error.strerror}\n")
        return _EXIT_UNAVAILABLE
    await _work(config, pool, Jobs(bare_pool, config.job_lease), metrics)
    await bare_pool.close()
    await pool.close()
    return 0


async def _work(config: Config, pool: Pool, jobs: Jobs, metrics: Metrics) -> None:
    client = open_client(config.redis_url)
    rounds = Rounds(
        pool, client, metrics, jobs,
        lost_after_s=config.lost_after_s, audit_every_s=config.audit_every_s,
        label_values=config.label_values,
    )  # fmt: skip
    retirement = Retirement(config.database_url, config.keeping)
    async with _sending(config, pool, jobs, metrics):
        await _until_stopped(rounds, retirement)
    await retirement.stop()
    await client.aclose()


@contextlib.asynccontextmanager
async def _sending(config: Config, pool: Pool, jobs: Jobs, metrics: Metrics) -> AsyncIterator[None]:
    """Meanwhile jobs are done; at the end those that were begun are finished."""
    if config.master_key is None:
        _log.info("SPENDRA_MASTER_KEY is not set: this worker sends no notices")
        yield
        return
    sender = Sender(config.mailer)
    postman = Postman(pool, Vault(config.master_key), sender, config.patience, metrics)
    async with asyncio.TaskGroup() as group:
        group.create_task(jobs.run({DELIVER: postman.deliver}))
        try:
            yield
        finally:
            jobs.stop()
    await sender.aclose()


async def _until_stopped(rounds: Rounds, retirement: Retirement) -> None:
    stop, hourly = asyncio.Event(), Every(_RETIRE_EVERY_S)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    while not stop.is_set():
        await rounds.run()
        if hourly.is_due():
            retirement.begin()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EVERY_S):
                await stop.wait()
