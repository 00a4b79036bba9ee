"""The servers that the live balances must work on, all the same."""

import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from spendra_sidecar.ledger.balances import Balances, OpenHold, Rebuild, Total
from spendra_sidecar.ledger.calls import Answer, Post
from spendra_sidecar.ledger.words import Reservation
from tests.servers import ValkeyCluster, start_redis, start_valkey

TIMEOUT_S = 5.0


@pytest.fixture(scope="session")
def valkey_single() -> Iterator[str]:
    server = start_valkey()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def redis_single() -> Iterator[str]:
    server = start_redis()
    if server is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def valkey_cluster() -> Iterator[str]:
    cluster = ValkeyCluster()
    yield cluster.url
    cluster.stop()


@dataclass
class Store:
    """One organization's balances under one generation, without Postgres."""

    url: str
    org_id: str
    generation: str
    balances: Balances

    async def reserve(self, *group: Reservation) -> list[Answer]:
        return await self.balances.reserve(self.generation, group)

    async def post(self, held: Reservation, cost_nanousd: int, tokens: int | None = 0) -> object:
        post = Post(held.id, cost_nanousd, tokens)
        [answer] = await self.balances.post(self.generation, [post])
        return answer

    async def rebuild(
        self, *totals: Total, holds: list[OpenHold] | None = None, min_version: int = 0,
        is_frozen: bool = False,
    ) -> None:  # fmt: skip
        """Another generation."""
        self.generation = secrets.token_hex(8)
        state = Rebuild(list(totals), holds or [], min_version, is_frozen)
        await self.balances.rebuild(self.generation, state)


@pytest.fixture(params=["valkey_single", "redis_single", "valkey_cluster"])
def store_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """Accounts `a`, `b` and `c` are open and empty."""
    org_id = f"org_{secrets.token_hex(6)}"
    balances = Balances(store_url, org_id, TIMEOUT_S)
    opened = Store(store_url, org_id, "", balances)
    await opened.rebuild(*(Total(f"{name}@0", 0, 0) for name in "abc"))
    yield opened
    await balances.close()
