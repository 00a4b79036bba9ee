"""The worker's life: sweep every organization, again and again, until told to stop."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Mapping

import msgspec
import uvloop

from spendra_control_plane.stores.postgres import StoreError, open_pool
from spendra_control_plane.worker.holds import open_client
from spendra_control_plane.worker.metrics import Metrics
from spendra_control_plane.worker.rounds import Rounds

_EXIT_CONFIG = 64
_EXIT_UNAVAILABLE = 69
_EVERY_S = 2.0


class Config(msgspec.Struct, frozen=True):
    """Settings of a worker. Documented in docs/configuration.md."""

    database_url: str
    redis_url: str
    lost_after_s: int
    audit_every_s: int
    host: str
    port: int
    """Of `/metrics`; 0: none."""


def load(env: Mapping[str, str] = os.environ) -> Config:
    """Raises ValueError with one sentence for a setting that is missing or wrong."""
    for name in ("SPENDRA_DATABASE_URL", "SPENDRA_REDIS_URL"):
        if not env.get(name):
            msg = f"{name} is not set; see docs/configuration.md"
            raise ValueError(msg)
    return Config(
        database_url=env["SPENDRA_DATABASE_URL"],
        redis_url=env["SPENDRA_REDIS_URL"],
        lost_after_s=_whole(env, "SPENDRA_LOST_AFTER_S", 3600),
        audit_every_s=_whole(env, "SPENDRA_AUDIT_EVERY_S", 300),
        host=env.get("SPENDRA_WORKER_HOST") or "127.0.0.1",
        port=_whole(env, "SPENDRA_WORKER_PORT", 0),
    )


def _whole(env: Mapping[str, str], name: str, default: int) -> int:
    written = env.get(name) or str(default)
    if not (written.isascii() and written.isdecimal()):
        msg = f"{name} must be a whole number, not {written!r}"
        raise ValueError(msg)
    return int(written)


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
    metrics = Metrics()
    try:
        if config.port:
            metrics.serve(config.host, config.port)
    except OSError as error:
        sys.stderr.write(f"spendra worker: {config.host}:{config.port}: {error.strerror}\n")
        return _EXIT_UNAVAILABLE
    client = open_client(config.redis_url)
    rounds = Rounds(
        pool, client, metrics,
        lost_after_s=config.lost_after_s, audit_every_s=config.audit_every_s,
    )  # fmt: skip
    await _until_stopped(rounds)
    await client.aclose()
    await pool.close()
    return 0


async def _until_stopped(rounds: Rounds) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    while not stop.is_set():
        await rounds.run()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EVERY_S):
                await stop.wait()
