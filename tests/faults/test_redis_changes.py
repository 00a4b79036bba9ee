"""Another Redis than a moment ago, under load: nobody is admitted twice."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import redis.asyncio as aioredis

from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.ledger.words import Exhausted, Held, LedgerUnavailableError, Reservation
from tests.faults.conftest import port_of, sound
from tests.ledger.conftest import Desk, account, open_desk, posted, reservation
from tests.servers import Server, start_valkey

ROOM = 10
TIGHT = account("tight", 10 * ROOM)


@pytest.fixture(scope="module")
def primary() -> Iterator[Server]:
    server = start_valkey()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def replica() -> Iterator[Server]:
    server = start_valkey()
    yield server
    server.stop()


@pytest.fixture
async def hurt(database: str, primary: Server, tmp_path: object) -> AsyncIterator[Desk]:
    async with open_desk(database, primary.url, tmp_path) as opened:  # type: ignore[arg-type]
        yield opened


async def admitted(ledgers: list[Ledger], count: int) -> list[Reservation]:
    """So many at once over the sidecars; those that may leave."""
    wanted = [reservation(10, TIGHT) for _ in range(count)]
    calls = [ledgers[i % len(ledgers)].reserve(each) for i, each in enumerate(wanted)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(each, Held | Exhausted | LedgerUnavailableError) for each in found), found
    return [each for each, answer in zip(wanted, found, strict=True) if isinstance(answer, Held)]


async def ended(desk: Desk, ledgers: list[Ledger], held: list[Reservation], url: str) -> None:
    """All of it settles, and the books and the balances agree once a sidecar has asked again."""
    assert len(held) <= ROOM
    for each in held:
        ledgers[0].settle(each, posted(10))
    for ledger in ledgers:
        await ledger.drain()
    assert await desk.totals(TIGHT) == (10 * len(held), 0)
    last = desk.sidecar(redis_url=url)
    await last.warm()
    for each in await admitted([last], 1):
        last.settle(each, posted(0))
    await last.drain()
    await sound(desk, url)


async def test_emptied_under_load(hurt: Desk) -> None:
    ledgers = [hurt.sidecar() for _ in range(3)]
    held = await admitted(ledgers, 6)
    client = aioredis.Redis.from_url(hurt.redis_url)
    await client.flushall()
    held += await admitted(ledgers, 30)
    await client.aclose()
    assert len(held) == ROOM
    await ended(hurt, ledgers, held, hurt.redis_url)


async def test_killed_and_back_empty_under_load(hurt: Desk, primary: Server) -> None:
    ledgers = [hurt.sidecar() for _ in range(3)]
    held = await admitted(ledgers, 6)
    working = asyncio.create_task(admitted(ledgers, 30))
    await asyncio.to_thread(primary.restart)
    held += await working
    held += await admitted(ledgers, 30)
    await ended(hurt, ledgers, held, hurt.redis_url)


async def test_restarted_with_an_old_dump(hurt: Desk, primary: Server) -> None:
    """The dump has the balances of a moment ago, and the generation; it has no scripts."""
    ledgers = [hurt.sidecar() for _ in range(3)]
    held = await admitted(ledgers, 2)
    client = aioredis.Redis.from_url(hurt.redis_url)
    await client.save()
    held += await admitted(ledgers, 5)
    await client.aclose()
    await asyncio.to_thread(primary.restart)
    client = aioredis.Redis.from_url(hurt.redis_url)
    assert await client.keys("spendra:*:taken"), "the old balances are there again"
    await client.aclose()
    held += await admitted(ledgers, 30)
    assert len(held) <= ROOM
    await ended(hurt, ledgers, held, hurt.redis_url)


async def test_a_lagging_replica_takes_over_and_half_the_sidecars_stay_behind(
    hurt: Desk, replica: Server
) -> None:
    """The split: two primaries, each with a part of the sidecars."""
    behind = [hurt.sidecar() for _ in range(2)]
    held = await admitted(behind, 2)
    old, new = aioredis.Redis.from_url(hurt.redis_url), aioredis.Redis.from_url(replica.url)
    await new.config_set("primaryauth", old.connection_pool.connection_kwargs["password"])
    await new.replicaof("127.0.0.1", str(port_of(hurt.redis_url)))
    for _ in range(200):
        if (await new.info("replication"))["master_link_status"] == "up":
            break
        await asyncio.sleep(0.05)
    await new.replicaof("NO", "ONE")
    held += await admitted(behind, 3)
    assert await new.keys("spendra:*:taken")
    ahead = [hurt.sidecar(redis_url=replica.url) for _ in range(2)]
    both = await asyncio.gather(admitted(behind, 20), admitted(ahead, 20))
    held += both[0] + both[1]
    held += await admitted(ahead, 20)
    await old.aclose()
    await new.aclose()
    assert len(held) <= ROOM
    await ended(hurt, ahead, held, replica.url)


async def test_full_memory_refuses_what_is_new_and_ends_what_is_held(hurt: Desk) -> None:
    ledgers = [hurt.sidecar()]
    held = await admitted(ledgers, 6)
    assert len(held) == 6
    client = aioredis.Redis.from_url(hurt.redis_url)
    await client.config_set("maxmemory", "1")
    assert await admitted(ledgers, 2) == []
    for each in held[:3]:
        ledgers[0].settle(each, posted(5))
    await client.config_set("maxmemory", "0")
    await client.aclose()
    await ledgers[0].drain()
    assert await hurt.totals(TIGHT) == (15, 30)
    for each in held[3:]:
        ledgers[0].settle(each, posted(5))
    await ledgers[0].drain()
    assert await hurt.totals(TIGHT) == (30, 0)
    await sound(hurt)
