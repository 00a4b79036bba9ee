"""The kill switch holds whatever Redis knows of it."""

import redis.asyncio as aioredis

from spendra.balances import frozen_key
from spendra_control_plane.authoring import freezing
from spendra_control_plane.stores.postgres import open_pool
from spendra_control_plane.stores.redis import open_floor
from spendra_control_plane.worker import sweep
from spendra_control_plane.worker.holds import open_client
from spendra_sidecar.ledger.words import Frozen, Held
from tests.ledger.conftest import Desk, account, posted, reservation, settle

WIDE = account("wide", 10**9)


async def set_durably(desk: Desk, *, frozen: bool) -> None:
    await desk.database.execute("SELECT spendra.freeze($1, $2, 'test')", desk.org_id, frozen)


async def test_an_operator_stops_the_very_next_call_and_resumes(desk: Desk) -> None:
    ledger, under_way = desk.sidecar(), reservation(10, WIDE)
    await ledger.reserve(under_way)
    pool, floor = await open_pool(desk.database_url, largest=1), await open_floor(desk.redis_url)
    state = await freezing.freeze(pool, floor, desk.org_id, "a runaway agent")
    assert (state["is_frozen"], state["frozen_reason"]) == (True, "a runaway agent")
    assert await ledger.reserve(reservation(10, WIDE)) == Frozen()
    await settle(ledger, under_way, posted(4))
    assert await desk.totals(WIDE) == (4, 0)
    assert not (await freezing.unfreeze(pool, floor, desk.org_id))["is_frozen"]
    assert await ledger.reserve(reservation(10, WIDE)) == Held((14,))
    await pool.close()
    await floor.close()


async def test_postgres_alone_stops_what_redis_would_admit(desk: Desk) -> None:
    ledger = desk.sidecar()
    await ledger.reserve(reservation(10, WIDE))
    await set_durably(desk, frozen=True)
    assert await ledger.reserve(reservation(10, WIDE)) == Frozen()
    await ledger.drain()
    assert await desk.totals(WIDE) == (0, 10)
    await set_durably(desk, frozen=False)
    assert await ledger.reserve(reservation(10, WIDE)) == Held((20,))


async def test_the_switch_survives_the_loss_of_redis(desk: Desk) -> None:
    ledger = desk.sidecar()
    await ledger.reserve(reservation(10, WIDE))
    await set_durably(desk, frozen=True)
    client = aioredis.Redis.from_url(desk.redis_url)
    async for name in client.scan_iter(f"spendra:{{{desk.org_id}}}:*"):
        await client.delete(name)
    assert await ledger.reserve(reservation(10, WIDE)) == Frozen()
    assert await client.exists(frozen_key(desk.org_id))
    await client.aclose()


async def test_the_worker_brings_the_switch_to_a_redis_that_missed_it(desk: Desk) -> None:
    pool, client = await open_pool(desk.database_url, largest=1), open_client(desk.redis_url)
    for frozen in (True, False):
        await set_durably(desk, frozen=frozen)
        await sweep.freeze(pool, client, desk.org_id)
        assert bool(await client.exists(frozen_key(desk.org_id))) == frozen
    await pool.close()
    await client.aclose()
