"""An organization's slot moves, or its master dies: nothing is overspent, and work goes on."""

import asyncio
import binascii
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from spendra.auditor import audit
from spendra.balances import keys
from spendra_control_plane.stores.redis import open_floor
from spendra_control_plane.worker.holds import Holds, open_client
from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.ledger.words import Exhausted, Held, LedgerUnavailableError, StalePolicy
from tests.ledger.conftest import (
    Desk,
    account,
    database,  # noqa: F401 - a fixture
    open_desk,
    posted,
    reservation,
    settle,
)
from tests.servers import ValkeyCluster

ROOM = 40
TIGHT = account("tight", ROOM * 100 + 99)
FIRST_MASTERS = range(5461)
BACK_WITHIN_S = 30.0


@pytest.fixture
def cluster() -> Iterator[ValkeyCluster]:
    opened = ValkeyCluster()
    yield opened
    opened.stop()


def slot_of(org_id: str) -> int:
    return binascii.crc_hqx(org_id.encode(), 0) % 16384


def organization_of_the_first_master() -> str:
    while slot_of(org_id := f"org_{secrets.token_hex(6)}") not in FIRST_MASTERS:
        pass
    return org_id


@pytest.fixture
async def desk(
    database: str,  # noqa: F811
    cluster: ValkeyCluster,
    tmp_path: Path,
) -> AsyncIterator[Desk]:
    org_id = organization_of_the_first_master()
    async with open_desk(database, cluster.url, tmp_path, org_id) as opened:
        yield opened


@contextlib.asynccontextmanager
async def asking(*nodes: Any) -> AsyncIterator[list[Any]]:
    clients = [Redis.from_url(node.url) for node in nodes]
    yield [client.execute_command for client in clients]
    for client in clients:
        await client.aclose()


async def keep_reserving(ledger: Ledger, admitted: list[Any], stop: asyncio.Event) -> None:
    """Steady load; refusals for want of a store are part of it."""
    while not stop.is_set():
        wanted = reservation(1, TIGHT)
        with contextlib.suppress(LedgerUnavailableError):
            if isinstance(await ledger.reserve(wanted), Held):
                admitted.append(wanted)
        await asyncio.sleep(0.005)


async def back(ledger: Ledger) -> None:
    """Until something is held again."""
    async with asyncio.timeout(BACK_WITHIN_S):
        while True:
            with contextlib.suppress(LedgerUnavailableError):
                if isinstance(await ledger.reserve(reservation(0, TIGHT)), Held):
                    return
            await asyncio.sleep(0.05)


async def exactly_the_room_is_left(desk: Desk, ledger: Ledger) -> None:
    await ledger.drain()
    assert TIGHT.limit_nanousd is not None
    left = TIGHT.limit_nanousd - sum(await desk.totals(TIGHT))
    assert isinstance(await ledger.reserve(reservation(left + 1, TIGHT)), Exhausted)
    assert isinstance(await ledger.reserve(reservation(left, TIGHT)), Held)


async def test_a_slot_that_moved_is_followed_without_a_rebuild(
    desk: Desk, cluster: ValkeyCluster
) -> None:
    ledger, slot = desk.sidecar(), slot_of(desk.org_id)
    held = reservation(100, TIGHT)
    await ledger.reserve(held)
    before = await generation_of(desk)
    async with asking(*cluster.nodes) as (first, second, third, _):
        there = await second("CLUSTER", "MYID")
        await first("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", there)
        async with asyncio.timeout(BACK_WITHIN_S):
            await moved(third, slot, cluster.nodes[1].port)
    await back(ledger)
    assert await generation_of(desk) == before
    await settle(ledger, held, posted(40))
    assert await desk.totals(TIGHT) == (40, 0)
    await exactly_the_room_is_left(desk, ledger)


async def test_moving_a_slot_key_by_key_under_load_overspends_nothing(
    desk: Desk, cluster: ValkeyCluster
) -> None:
    ledger, slot = desk.sidecar(), slot_of(desk.org_id)
    await back(ledger)
    admitted: list[Any] = []
    stop = asyncio.Event()
    load = [asyncio.create_task(keep_reserving(ledger, admitted, stop)) for _ in range(4)]
    async with asking(*cluster.nodes) as (first, second, third, _):
        ids = await first("CLUSTER", "MYID"), await second("CLUSTER", "MYID")
        await second("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        await first("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        port = cluster.nodes[1].port
        while keys := await first("CLUSTER", "GETKEYSINSLOT", slot, 1):
            command = ("MIGRATE", "127.0.0.1", port, "", 0, 5000, "AUTH", "test", "KEYS", *keys)
            await first(*command)
            await asyncio.sleep(0.02)
        for node in (second, first, third):
            await node("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
    await back(ledger)
    stop.set()
    await asyncio.gather(*load)
    await ledger.drain()
    assert await desk.totals(TIGHT) == (0, len(admitted))
    await exactly_the_room_is_left(desk, ledger)


async def test_a_lost_master_is_followed_by_a_rebuild_on_its_replica(
    desk: Desk, cluster: ValkeyCluster
) -> None:
    ledger = desk.sidecar()
    held = [reservation(100, TIGHT) for _ in range(3)]
    for each in held:
        assert isinstance(await ledger.reserve(each), Held)
    before = await generation_of(desk)
    cluster.nodes[0].kill()
    await back(ledger)
    assert await generation_of(desk) != before
    await settle(ledger, held[0], posted(10))
    assert await desk.totals(TIGHT) == (10, 200)
    await exactly_the_room_is_left(desk, ledger)


async def test_the_control_planes_clients_work_on_a_cluster(
    desk: Desk, cluster: ValkeyCluster
) -> None:
    ledger, held = desk.sidecar(), reservation(100, TIGHT)
    await ledger.reserve(held)
    floor, client = await open_floor(cluster.url), open_client(cluster.url)
    await floor.raise_to(desk.org_id, 9)
    assert await ledger.reserve(reservation(1, TIGHT)) == StalePolicy(9)
    holds = Holds(client, desk.org_id, await generation_of(desk))
    assert [hold.reservation_id for hold in await holds.older_than(0)] == [held.id]
    await holds.post(held.id, 30)
    await floor.close()
    await client.aclose()
    assert await ledger.reserve(reservation(1, TIGHT, policy_version=9)) == Held((31,))


async def test_the_auditor_sees_the_balances_of_a_cluster(
    desk: Desk, cluster: ValkeyCluster
) -> None:
    ledger, held = desk.sidecar(), reservation(100, TIGHT)
    await ledger.reserve(held)
    await settle(ledger, held, posted(30))
    client = open_client(cluster.url)
    assert await audit(desk.database, client, desk.org_id, idle=True) == []
    taken = keys(desk.org_id, await generation_of(desk)).taken
    await client.hincrby(taken, TIGHT.id, -1)
    found = await audit(desk.database, client, desk.org_id)
    drifts = {finding.kind: finding.figures["drift_nanousd"] for finding in found}
    assert drifts == {"redis_below_postgres": -1, "redis_disagrees_with_itself": -1}
    await client.aclose()


async def generation_of(desk: Desk) -> str:
    found: str = await desk.database.fetchval("SELECT spendra.current_generation($1)", desk.org_id)
    return found


async def owner(node: Any, slot: int) -> int:
    rows = await node("CLUSTER", "SLOTS")
    [port] = [row[2][1] for row in rows if row[0] <= slot <= row[1]]
    return int(port)


async def moved(node: Any, slot: int, port: int) -> None:
    while True:
        if await owner(node, slot) == port:
            return
        await asyncio.sleep(0.05)
