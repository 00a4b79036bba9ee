"""What the worker ends that nobody else does: lost reservations, and holds left over in Redis."""

from collections.abc import AsyncIterator

import pytest

from spendra_control_plane.stores.postgres import Pool, open_pool
from spendra_control_plane.worker import sweep
from spendra_control_plane.worker.holds import Client, open_client
from spendra_sidecar.ledger.balances import Balances
from spendra_sidecar.ledger.books import Books
from spendra_sidecar.ledger.journal import Row
from spendra_sidecar.ledger.words import Exhausted, Held
from tests.ledger.conftest import TIMEOUT_S, Desk, account, posted, reservation


@pytest.fixture
async def pool(desk: Desk) -> AsyncIterator[Pool]:
    opened = await open_pool(desk.database_url, largest=2)
    yield opened
    await opened.close()


@pytest.fixture
async def client(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.setattr(sweep, "_SETTLING_MS", -1)
    opened = open_client(desk.redis_url)
    yield opened
    await opened.aclose()


async def test_lost_money_stays_counted_and_is_posted_at_its_worst_case(
    desk: Desk, pool: Pool, client: Client
) -> None:
    ledger, tight = desk.sidecar(), account("tight", 1000)
    await ledger.reserve(reservation(400, tight))  # by a sidecar that holds no lease
    assert await sweep.label_lost(pool, desk.org_id) == 1
    assert await sweep.post_lost(pool, desk.org_id, 3600) == 0
    assert await desk.totals(tight) == (0, 400)
    assert await sweep.post_lost(pool, desk.org_id, 0) == 1
    assert await desk.totals(tight) == (400, 0)
    event = await desk.database.fetchrow(
        "SELECT reason, usage_confidence, cost_nanousd FROM spendra.spend_events WHERE org_id = $1",
        desk.org_id,
    )
    assert tuple(event) == ("lost", "worst_case", 400)
    assert await sweep.reconcile(pool, client, desk.org_id) == 1
    assert await ledger.reserve(reservation(601, tight)) == Exhausted(tight, 400, 0, 1000)


async def test_a_settlement_that_redis_missed_is_moved(
    desk: Desk, pool: Pool, client: Client
) -> None:
    ledger, tight = desk.sidecar(), account("tight", 1000)
    held = reservation(900, tight)
    await ledger.reserve(held)
    books = Books(desk.database_url, desk.org_id, "sidecar-0", TIMEOUT_S)
    await books.settle([Row(held.id, posted(100))])
    await books.close()
    assert await sweep.reconcile(pool, client, desk.org_id) == 1
    assert await sweep.reconcile(pool, client, desk.org_id) == 0
    assert await ledger.reserve(reservation(900, tight)) == Held((1000,))


async def test_a_hold_that_never_became_durable_is_released_and_stays_barred(
    desk: Desk, pool: Pool, client: Client
) -> None:
    ledger, tight = desk.sidecar(), account("tight", 1000)
    await ledger.reserve(reservation(1, tight))
    generation = await desk.database.fetchval("SELECT spendra.current_generation($1)", desk.org_id)
    balances = Balances(desk.redis_url, desk.org_id, TIMEOUT_S)
    orphan = reservation(700, tight)
    assert await balances.reserve(generation, [orphan]) == [Held((701,))]
    assert await sweep.reconcile(pool, client, desk.org_id) == 1
    books = Books(desk.database_url, desk.org_id, "sidecar-0", TIMEOUT_S)
    written = await books.reserve(generation, [orphan])
    assert (written.generation, written.unwritten) == (generation, {orphan.id})
    assert await desk.totals(tight) == (0, 1), "the late write did not land"
    assert await ledger.reserve(reservation(999, tight)) == Held((1000,))
    await books.close()
    await balances.close()


async def test_folding_movements_changes_no_total(desk: Desk, pool: Pool) -> None:
    ledger, tight = desk.sidecar(), account("tight", 1000)
    for cost in (10, 20, 30):
        held = reservation(100, tight)
        await ledger.reserve(held)
        ledger.settle(held, posted(cost))
        await ledger.drain()
    assert await sweep.fold(pool, desk.org_id) == 2
    assert await desk.totals(tight) == (60, 0)
