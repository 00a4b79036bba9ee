"""The worker's life: sweep every organization, again and again, until told to stop."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping

import msgspec
import uvloop

from spendra_control_plane.stores.postgres import Pool, StoreError, open_pool
from spendra_control_plane.worker import sweep
from spendra_control_plane.worker.holds import Client, HoldError, open_client

_log = logging.getLogger(__name__)
_EXIT_CONFIG = 64
_EXIT_UNAVAILABLE = 69
_EVERY_S = 2.0


class Config(msgspec.Struct, frozen=True):
    """Settings of a worker. Documented in docs/configuration.md."""

    database_url: str
    redis_url: str
    lost_after_s: int


def load(env: Mapping[str, str] = os.environ) -> Config:
    """Raises ValueError with one sentence for a setting that is missing or wrong."""
    for name in ("SPENDRA_DATABASE_URL", "SPENDRA_REDIS_URL"):
        if not env.get(name):
            msg = f"{name} is not set; see docs/configuration.md"
            raise ValueError(msg)
    lost_after = env.get("SPENDRA_LOST_AFTER_S", "3600")
    if not lost_after.isdecimal():
        msg = f"SPENDRA_LOST_AFTER_S must be a whole number of seconds, not {lost_after!r}"
        raise ValueError(msg)
    return Config(env["SPENDRA_DATABASE_URL"], env["SPENDRA_REDIS_URL"], int(lost_after))


def main(argv: list[str]) -> int:
    """Run until SIGTERM or SIGINT."""
    if argv:
        sys.stderr.write("spendra worker takes no arguments; it is configured by SPENDRA_*.\n")
        return _EXIT_CONFIG
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
    return uvloop.run(_run(config))


async def _run(config: Config) -> int:
    try:
        pool = await open_pool(config.database_url, largest=4)
    except StoreError as error:
        sys.stderr.write(f"spendra worker: Postgres cannot be reached: {error}\n")
        return _EXIT_UNAVAILABLE
    client = open_client(config.redis_url)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    while not stop.is_set():
        await _sweep_all(pool, client, config)
        try:
            async with asyncio.timeout(_EVERY_S):
                await stop.wait()
        except TimeoutError:
            continue
    await client.aclose()
    await pool.close()
    return 0


async def _sweep_all(pool: Pool, client: Client, config: Config) -> None:
    """One round. A store that is away is tried again in the next."""
    try:
        for row in await pool.fetch("SELECT id FROM spendra.organizations"):
            await _sweep(pool, client, row["id"], config)
    except (*StoreError, *HoldError) as error:
        _log.warning("this round ended early: %s", str(error) or type(error).__name__)


async def _sweep(pool: Pool, client: Client, org_id: str, config: Config) -> None:
    await sweep.label_lost(pool, org_id)
    await sweep.forget_claims(pool, org_id)
    await sweep.post_lost(pool, org_id, config.lost_after_s)
    await sweep.fold(pool, org_id)
    await sweep.freeze(pool, client, org_id)
    await sweep.let_go(pool, client, org_id)
    await sweep.reconcile(pool, client, org_id)
