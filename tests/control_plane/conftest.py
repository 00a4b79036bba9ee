"""One Postgres, one Valkey and one control plane for the session; an organization per test."""

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from spendra_control_plane.stores.postgres import Pool, open_pool
from tests.control_plane.books import Books
from tests.control_plane.running import (
    ControlPlane,
    Organization,
    found_organization,
    migrate,
    settings,
    start_control_plane,
)
from tests.servers import Postgres, Server, start_postgres, start_valkey


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = start_postgres()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey() -> Iterator[Server]:
    server = start_valkey()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def control_plane(
    postgres: Postgres, valkey: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    environ = settings(postgres.create_database("control_plane"), valkey.url)
    migrated = migrate(environ)
    assert migrated.returncode == 0, migrated.stderr
    plane = start_control_plane(environ, tmp_path_factory.mktemp("control_plane") / "log")
    yield plane
    plane.stop()


@pytest.fixture
def org(control_plane: ControlPlane) -> Iterator[Organization]:
    made = found_organization(control_plane)
    with made.api:
        yield made


@pytest.fixture
async def books(control_plane: ControlPlane, org: Organization) -> AsyncIterator[Books]:
    connection = await asyncpg.connect(control_plane.environ["SPENDRA_DATABASE_URL"])
    yield Books(connection, org.id)
    await connection.close()


@pytest.fixture
async def pool(control_plane: ControlPlane) -> AsyncIterator[Pool]:
    """Of the control plane's own kind."""
    opened = await open_pool(control_plane.environ["SPENDRA_DATABASE_URL"])
    yield opened
    await opened.close()


@pytest.fixture
def budget(org: Organization) -> str:
    body = {"name": "all", "period": "none", "limit_usd": "1", "kind": "hard"}
    return str(org.post("/v1/budgets", body)["id"])
