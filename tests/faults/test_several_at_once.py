"""What two processes do at the same time, and what one leaves half done."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from spendra_control_plane.stores.postgres import Pool, open_pool
from spendra_control_plane.worker import sweep
from spendra_control_plane.worker.holds import Client, open_client
from spendra_sidecar.ledger.balances import Balances, Rebuild
from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.ledger.words import Held, LedgerUnavailableError
from tests.faults.conftest import first_held, sound
from tests.ledger.conftest import Desk, account, posted, reservation

WIDE = account("wide", 10**6)


@pytest.fixture
async def workers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[tuple[Pool, Client]]]:
    """What two workers have: a pool and a client each."""
    monkeypatch.setattr(sweep, "_SETTLING_MS", 1000)
    found = [(await open_pool(desk.database_url), open_client(desk.redis_url)) for _ in range(2)]
    yield found
    for pool, client in found:
        await pool.close()
        await client.aclose()


async def swept(desk: Desk, pool: Pool, client: Client) -> None:
    """Every step of a worker's round, round after round."""
    for _ in range(12):
        await sweep.label_lost(pool, desk.org_id)
        await sweep.post_lost(pool, desk.org_id, 0)
        await sweep.book_evidence(pool, desk.org_id)
        await sweep.fold(pool, desk.org_id)
        await sweep.let_go(pool, client, desk.org_id)
        await sweep.reconcile(pool, client, desk.org_id)
        await asyncio.sleep(0.15)


async def load(ledger: Ledger) -> int:
    """Steady requests of a sidecar that is well; how many were admitted."""
    count = 0
    for _ in range(60):
        wanted = [reservation(10, WIDE) for _ in range(3)]
        answers = await asyncio.gather(*(ledger.reserve(each) for each in wanted))
        assert all(isinstance(answer, Held) for answer in answers)
        for each in wanted:
            ledger.settle(each, posted(7))
        count += len(wanted)
        await asyncio.sleep(0.02)
    return count


async def test_two_workers_under_load_end_each_lost_reservation_once(
    desk: Desk, workers: list[tuple[Pool, Client]]
) -> None:
    well, dead = desk.sidecar(), desk.sidecar()
    books = desk.closing[1]
    await books.renew_lease(60)  # type: ignore[attr-defined]
    for _ in range(9):
        assert isinstance(await dead.reserve(reservation(10, WIDE)), Held)
    sweeping = [asyncio.ensure_future(swept(desk, *each)) for each in workers]
    count = await load(well)
    await asyncio.gather(*sweeping)
    await well.drain()
    assert await desk.totals(WIDE) == (7 * count + 10 * 9, 0)
    ended = "SELECT count(*) FROM spendra.spend_events WHERE org_id = $1 AND reason = 'lost'"
    assert await desk.database.fetchval(ended, desk.org_id) == 9
    await sound(desk)


async def test_a_sidecar_that_stands_still_in_a_rebuild_does_not_keep_others_from_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, well = desk.sidecar(), desk.sidecar()
    going_on, begun = asyncio.Event(), asyncio.Event()
    rebuild = Balances.rebuild

    async def still(self: Balances, generation: str, state: Rebuild) -> None:
        if self is desk.closing[0]:
            begun.set()
            await going_on.wait()
        await rebuild(self, generation, state)

    monkeypatch.setattr(Balances, "rebuild", still)
    asking = asyncio.ensure_future(stuck.reserve(reservation(10, WIDE)))
    await begun.wait()
    held = await first_held(well, WIDE)
    going_on.set()
    [answer] = await asyncio.gather(asking, return_exceptions=True)
    assert isinstance(answer, Held | LedgerUnavailableError)
    late = await first_held(stuck, WIDE)
    for each in (held, late):
        well.settle(each, posted(7))
    await well.drain()
    if isinstance(answer, Held):
        pytest.fail("the rebuild that stood still was taken for the current one")
    assert await desk.totals(WIDE) == (14, 0)
    await sound(desk)
