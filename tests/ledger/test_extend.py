"""An open hold grows, on all its accounts or none, durably, once by its number."""

import pytest
import redis.asyncio as aioredis

from spendra_sidecar.ledger.words import Exhausted, Frozen, Held, LedgerUnavailableError
from tests.ledger.conftest import Desk, account, posted, reservation, settle


async def test_an_extension_is_held_on_every_account_and_durable(desk: Desk) -> None:
    ledger, team, org = desk.sidecar(), account("team", 1000), account("org", 5000)
    held = reservation(300, team, org)
    await ledger.reserve(held)
    assert await ledger.extend(held, 1, 200) == Held((500, 500))
    assert held.amount_nanousd == 500
    assert await desk.totals(team) == await desk.totals(org) == (0, 500)


async def test_repeating_an_extension_changes_nothing(desk: Desk) -> None:
    ledger, tight = desk.sidecar(), account("tight", 1000)
    held = reservation(300, tight)
    await ledger.reserve(held)
    for _ in range(3):
        assert await ledger.extend(held, 1, 200) == Held((500,))
    assert await ledger.extend(held, 2, 100) == Held((600,))
    assert (held.amount_nanousd, await desk.totals(tight)) == (600, (0, 600))


async def test_one_short_account_refuses_the_extension_and_changes_nothing(desk: Desk) -> None:
    ledger, team, org = desk.sidecar(), account("team", 1000), account("org", 400)
    held = reservation(300, team, org)
    await ledger.reserve(held)
    assert await ledger.extend(held, 1, 101) == Exhausted(org, 300, 300, 400)
    assert await desk.totals(team) == await desk.totals(org) == (0, 300)
    assert await ledger.extend(held, 1, 100) == Held((400, 400))


async def test_settling_returns_the_extension_too(desk: Desk) -> None:
    ledger, tight = desk.sidecar(), account("tight", 1000)
    held = reservation(300, tight)
    await ledger.reserve(held)
    await ledger.extend(held, 1, 700)
    await settle(ledger, held, posted(450))
    assert await desk.totals(tight) == (450, 0)
    assert await ledger.reserve(reservation(550, tight)) == Held((1000,))


async def test_what_has_ended_or_is_lost_is_not_extended(desk: Desk) -> None:
    ledger, tight = desk.sidecar(), account("tight", 1000)
    ended, lost = reservation(100, tight), reservation(100, tight)
    for each in (ended, lost):
        await ledger.reserve(each)
    await settle(ledger, ended, posted(50))
    await desk.database.execute(
        "UPDATE spendra.reservations SET state = 'lost' WHERE reservation_id = $1", lost.id
    )
    for each in (ended, lost):
        with pytest.raises(LedgerUnavailableError):
            await ledger.extend(each, 1, 10)
    assert await desk.totals(tight) == (50, 100)


async def test_no_extension_is_skipped(desk: Desk) -> None:
    ledger, tight = desk.sidecar(), account("tight", 1000)
    held = reservation(100, tight)
    await ledger.reserve(held)
    with pytest.raises(LedgerUnavailableError):
        await ledger.extend(held, 2, 10)


async def test_extensions_survive_a_rebuild_and_go_on_after_it(desk: Desk) -> None:
    ledger, tight = desk.sidecar(), account("tight", 1000)
    held = reservation(300, tight)
    await ledger.reserve(held)
    await ledger.extend(held, 1, 200)
    client = aioredis.Redis.from_url(desk.redis_url)
    async for name in client.scan_iter(f"spendra:{{{desk.org_id}}}:*"):
        await client.delete(name)
    await client.aclose()
    assert await ledger.extend(held, 1, 200) == Held((500,))
    assert await ledger.extend(held, 2, 100) == Held((600,))
    assert await desk.totals(tight) == (0, 600)
    await settle(ledger, held, posted(10))
    assert await ledger.reserve(reservation(990, tight)) == Held((1000,))


async def test_a_frozen_organization_extends_nothing(desk: Desk) -> None:
    ledger, tight = desk.sidecar(), account("tight", 1000)
    held = reservation(300, tight)
    await ledger.reserve(held)
    client = aioredis.Redis.from_url(desk.redis_url)
    await client.set(f"spendra:{{{desk.org_id}}}:frozen", 1)
    await client.aclose()
    assert await ledger.extend(held, 1, 200) == Frozen()
