"""What a rebuild leaves behind."""

import redis.asyncio as aioredis

from spendra.balances import keys
from spendra_sidecar.ledger.words import Held
from tests.ledger.conftest import Desk, account, reservation

WIDE = account("wide", 10**9)


async def test_the_data_of_a_closed_generation_is_removed(desk: Desk) -> None:
    ledger, other = desk.sidecar(), desk.sidecar()
    generations = []
    client = aioredis.Redis.from_url(desk.redis_url)
    for number in range(3):
        assert await ledger.reserve(reservation(1, WIDE)) == Held((2 * number + 1,))
        current = await desk.database.fetchval("SELECT spendra.current_generation($1)", desk.org_id)
        generations.append(current)
        await client.delete(keys(desk.org_id, current).generation)
        assert await other.reserve(reservation(1, WIDE)) == Held((2 * number + 2,))
    newest = await desk.database.fetchval("SELECT spendra.current_generation($1)", desk.org_id)
    names = [name.decode() async for name in client.scan_iter(f"spendra:{{{desk.org_id}}}:*")]
    assert len({*generations, newest}) == 4
    assert not [name for name in names if any(old in name for old in generations)]
    assert [name for name in names if newest in name]
    await client.aclose()
