"""`spendra control-plane`: read the settings, open the stores, put the parts together, serve."""

import asyncio
import logging
import os
import sys
from collections.abc import Mapping

import uvloop

from spendra.arguments import Parser
from spendra.sealing import SealError
from spendra_control_plane import serving
from spendra_control_plane.api.app import build_app
from spendra_control_plane.api.metrics import Metrics
from spendra_control_plane.api.pace import Pace
from spendra_control_plane.api.plane import Plane
from spendra_control_plane.authoring import organizations
from spendra_control_plane.catalog import CatalogError, read_catalog
from spendra_control_plane.configuration import (
    EXIT_BAD_CONFIGURATION,
    EXIT_STORE_UNAVAILABLE,
    Configuration,
    ConfigurationError,
    read_configuration,
)
from spendra_control_plane.migrate import MigrationError, pending
from spendra_control_plane.snapshots.feed import Feed
from spendra_control_plane.snapshots.floors import Floors
from spendra_control_plane.snapshots.publish import Publisher
from spendra_control_plane.snapshots.reader import Reader
from spendra_control_plane.snapshots.sidecars import Sidecars
from spendra_control_plane.stores.postgres import Pool, StoreError, open_pool
from spendra_control_plane.stores.redis import Floor, FloorError, open_floor
from spendra_control_plane.stores.vault import Vault

LOG = logging.getLogger(__name__)


_DESCRIPTION = (
    "Runs a control plane until SIGTERM or SIGINT. Its settings are variables, SPENDRA_DATABASE_URL"
    " and others: docs/configuration.md."
)


class StartError(RuntimeError):
    """Something outside is not there; the message is one sentence."""


def main(argv: list[str]) -> int:
    """Exit code: 0 after a signal, 64 for a wrong setting, 69 for a store that is away."""
    Parser("spendra control-plane", description=_DESCRIPTION).parse_args(argv)
    return start(os.environ)


def start(environ: Mapping[str, str]) -> int:
    """Serve until a signal comes."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        configuration = read_configuration(environ)
        uvloop.run(_run(configuration, read_catalog(configuration.catalog)))
    except (ConfigurationError, CatalogError) as error:
        return _fail(str(error), EXIT_BAD_CONFIGURATION)
    except StartError as error:
        return _fail(str(error), EXIT_STORE_UNAVAILABLE)
    return 0


async def _run(configuration: Configuration, catalog: bytes) -> None:
    pool, floor = await _open_stores(configuration)
    try:
        plane, floors = _compose(configuration, pool, floor, catalog)
        await _catch_up(plane, floors)
        await _serve(configuration, plane, floors)
    finally:
        await floor.close()
        await _close_pool(pool)


async def _open_stores(configuration: Configuration) -> tuple[Pool, Floor]:
    try:
        pool = await open_pool(configuration.database_url)
    except StoreError as error:
        msg = f"Postgres at SPENDRA_DATABASE_URL is not reachable: {_first_line(error)}."
        raise StartError(msg) from None
    try:
        await _check_schema(pool)
        return pool, await open_floor(configuration.redis_url)
    except FloorError as error:
        pool.terminate()
        msg = f"Redis at SPENDRA_REDIS_URL is not reachable: {_first_line(error)}."
        raise StartError(msg) from None
    except StartError:
        pool.terminate()
        raise


async def _check_schema(pool: Pool) -> None:
    try:
        async with pool.acquire() as connection:
            behind = await pending(connection)
    except MigrationError as error:
        msg = f"The database does not fit this version: {error}."
        raise StartError(msg) from None
    if behind:
        msg = f"The database lacks {len(behind)} migrations; run `spendra migrate` first."
        raise StartError(msg)


def _compose(
    configuration: Configuration, pool: Pool, floor: Floor, catalog: bytes
) -> tuple[Plane, Floors]:
    vault, feed, floors = Vault(configuration.master_key), Feed(), Floors(floor)
    publisher = Publisher(pool, vault, floors, catalog, feed.announce)
    plane = Plane(
        pool=pool,
        floor=floor,
        publisher=publisher,
        feed=feed,
        reader=Reader(pool, vault),
        sidecars=Sidecars(pool),
        metrics=Metrics(),
        public_url=configuration.public_url,
        dns_server=configuration.dns_server,
        bootstrap_token=configuration.admin_token,
        metrics_token=configuration.metrics_token,
        requests=Pace(configuration.requests_per_minute),
        failures=Pace(configuration.failures_per_minute),
    )
    return plane, floors


async def _catch_up(plane: Plane, floors: Floors) -> None:
    """What a crash or an upgrade left undone: floors not raised, prices not published."""
    try:
        await organizations.check_vault(plane.pool, plane.publisher.vault)
    except SealError:
        msg = "SPENDRA_MASTER_KEY is not the one that sealed this database's secrets."
        raise ConfigurationError(msg) from None
    await plane.publisher.refresh_prices()
    await floors.restore(plane.pool)


async def _serve(configuration: Configuration, plane: Plane, floors: Floors) -> None:
    forever = [
        asyncio.create_task(plane.feed.listen(configuration.database_url)),
        asyncio.create_task(plane.feed.poll(plane.pool)),
        asyncio.create_task(plane.sidecars.touch(plane.feed)),
        asyncio.create_task(floors.run()),
    ]
    try:
        await serving.serve(
            build_app(plane), configuration.host, configuration.port, plane.feed.close
        )
    except serving.AddressError as error:
        raise StartError(str(error)) from None
    finally:
        for task in forever:
            task.cancel()
        await asyncio.gather(*forever, return_exceptions=True)


async def _close_pool(pool: Pool) -> None:
    try:
        await asyncio.wait_for(pool.close(), timeout=2)
    except TimeoutError:
        pool.terminate()


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")


def _fail(sentence: str, code: int) -> int:
    sys.stderr.write(f"{sentence}\n")
    return code
