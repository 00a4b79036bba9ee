"""A budget that is made while requests are in flight starts from all of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from spendra_control_plane.stores.postgres import open_pool
from spendra_control_plane.worker import auditing
from spendra_control_plane.worker.holds import Client, open_client
from spendra_control_plane.worker.metrics import Metrics
from spendra_sidecar.ledger.words import Account, Exhausted, Held, LedgerUnavailableError
from tests.faults.conftest import sound
from tests.ledger.conftest import Desk, account, posted, reservation, settle

OLD = account("old", 100_000)


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[Client]:
    opened = open_client(desk.redis_url)
    yield opened
    await opened.aclose()


async def made(desk: Desk, name: str, limit_nanousd: int, project: str = "p") -> Account:
    """A budget of a project, or of everything, from now on."""
    await desk.database.execute(
        "INSERT INTO spendra.budgets (org_id, id, name, selector, period, limit_nanousd, kind)"
        " VALUES ($1, $2, $2, $3, 'none', $4, 'hard')",
        desk.org_id,
        name,
        json.dumps({"project": [project]} if project else {}),
        limit_nanousd,
    )
    return account(name, limit_nanousd)


async def test_what_is_in_flight_is_held_in_it_and_settles_in_it(desk: Desk) -> None:
    ledger, done, flying = desk.sidecar(), reservation(100, OLD), reservation(300, OLD)
    for each in (done, flying):
        await ledger.reserve(each)
    await settle(ledger, done, posted(70))
    new = await made(desk, "new", 1000)
    assert await desk.sidecar().reserve(reservation(50, OLD, new)) == Held((420, 420))
    await settle(ledger, flying, posted(200))
    assert await desk.totals(new) == (270, 50)
    assert await ledger.reserve(reservation(680, new)) == Held((1000,))
    assert await ledger.reserve(reservation(1, new)) == Exhausted(new, 1000, 730, 1000)


async def test_what_others_spend_does_not_count_in_it(desk: Desk) -> None:
    ledger, flying = desk.sidecar(), reservation(300, OLD)
    await ledger.reserve(flying)
    new = await made(desk, "theirs", 1000, project="q")
    assert await ledger.reserve(reservation(50, new)) == Held((50,))
    await settle(ledger, flying, posted(300))
    assert await desk.totals(new) == (0, 50)


async def test_what_was_set_aside_for_outages_does_not_count_in_it(desk: Desk) -> None:
    ledger, aside = desk.sidecar(), reservation(300, OLD)
    aside = replace(aside, provider="spendra", model="allowance", facts="{}")
    await ledger.reserve(aside)
    new = await made(desk, "everything", 1000, project="")
    assert await ledger.reserve(reservation(50, new)) == Held((50,))
    assert await desk.totals(new) == (0, 50)


async def test_it_may_start_above_its_limit_and_admits_nothing_then(desk: Desk) -> None:
    ledger, flying = desk.sidecar(), reservation(300, OLD)
    await ledger.reserve(flying)
    new = await made(desk, "tight", 200)
    assert await ledger.reserve(reservation(1, OLD, new)) == Exhausted(new, 300, 300, 200)
    await settle(ledger, flying, posted(150))
    assert await ledger.reserve(reservation(50, OLD, new)) == Held((200, 200))


async def test_it_survives_the_loss_of_redis(desk: Desk, client: Client) -> None:
    ledger, flying = desk.sidecar(), reservation(300, OLD)
    await ledger.reserve(flying)
    new = await made(desk, "kept", 1000)
    await ledger.reserve(reservation(50, OLD, new))
    await client.flushall()
    assert await ledger.reserve(reservation(50, new)) == Held((400,))
    await settle(ledger, flying, posted(10))
    assert await ledger.reserve(reservation(890, new)) == Held((1000,))


async def test_an_extension_grows_in_it_too_and_never_past_its_limit(desk: Desk) -> None:
    ledger, flying = desk.sidecar(), reservation(300, OLD)
    await ledger.reserve(flying)
    new = await made(desk, "grown", 500)
    await ledger.reserve(reservation(50, OLD, new))
    assert await ledger.extend(flying, 1, 100) == Held((450,))
    assert await desk.totals(new) == (0, 450)
    assert await ledger.reserve(reservation(51, new)) == Exhausted(new, 450, 450, 500)
    with pytest.raises(LedgerUnavailableError):
        await ledger.extend(flying, 2, 51)
    await settle(ledger, flying, posted(400))
    assert await ledger.reserve(reservation(50, new)) == Held((500,))


async def test_settlements_under_way_are_counted_once(desk: Desk, client: Client) -> None:
    """Budget after budget is opened while everything in flight is settled."""
    ledger, other, spent = desk.sidecar(), desk.sidecar(), 0
    for turn in range(12):
        flying = [reservation(20, OLD) for _ in range(20)]
        await asyncio.gather(*(ledger.reserve(each) for each in flying))
        new = await made(desk, f"new-{turn}", 10**9)
        for each in flying:
            ledger.settle(each, posted(7))
        probe = reservation(1, OLD, new)
        await asyncio.gather(other.reserve(probe), ledger.drain())
        other.settle(probe, posted(1))
        await asyncio.gather(other.drain(), ledger.drain())
        spent += 7 * len(flying) + 1
        assert await desk.totals(new) == (spent, 0)
    # A hold that ended between the two stores leaves Redis too high, which the worker mends.
    pool = await open_pool(desk.database_url, largest=2)
    await auditing.check_drift(pool, client, desk.org_id, Metrics())
    await pool.close()
    probe = reservation(1, OLD)
    assert isinstance(await other.reserve(probe), Held)
    await settle(other, probe, posted(0))
    await sound(desk)
