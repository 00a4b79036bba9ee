"""Limits, budgets and windows change while requests are in flight."""

from spendra_sidecar.ledger.words import Account, Exhausted, Held
from tests.ledger.conftest import Desk, account, posted, reservation, settle

HOUR_S = 3600


def hourly(now_ms: int) -> Account:
    """An hour around the store's clock."""
    start = now_ms // 1000 - HOUR_S // 2
    plain = account("hourly", 1000)
    return plain._replace(id=f"hourly@{start}", start_s=start, end_s=start + HOUR_S)


async def test_a_lowered_limit_stops_what_is_new_and_leaves_holds_alone(desk: Desk) -> None:
    ledger, before = desk.sidecar(), account("b", 1000, version=1)
    held = reservation(800, before)
    await ledger.reserve(held)
    lowered = account("b", 500, version=2)
    assert await ledger.reserve(reservation(1, lowered)) == Exhausted(lowered, 800, 800, 500)
    await settle(ledger, held, posted(300))
    assert await desk.totals(lowered) == (300, 0)
    assert await ledger.reserve(reservation(200, lowered)) == Held((500,))
    assert await ledger.reserve(reservation(1, before)) == Exhausted(before, 500, 200, 500)


async def test_a_raised_limit_counts_at_the_next_call(desk: Desk) -> None:
    ledger, raised = desk.sidecar(), account("b", 900, version=2)
    await ledger.reserve(reservation(500, account("b", 500, version=1)))
    assert await ledger.reserve(reservation(400, raised)) == Held((900,))


async def test_what_a_closed_budget_held_is_settled_in_it(desk: Desk) -> None:
    """A snapshot without the budget names its account no more."""
    ledger, closed, stays = desk.sidecar(), account("closed", 1000), account("stays", 1000)
    held = reservation(400, closed, stays)
    await ledger.reserve(held)
    assert await ledger.reserve(reservation(100, stays)) == Held((500,))
    await settle(ledger, held, posted(250))
    assert await desk.totals(closed) == (250, 0)
    assert await desk.totals(stays) == (250, 100)


async def test_a_hold_belongs_to_the_window_in_which_it_was_taken(desk: Desk) -> None:
    ledger = desk.sidecar()
    await ledger.warm()
    this = hourly(ledger.now_ms())
    held = reservation(900, this)
    assert isinstance(await ledger.reserve(held), Held)
    following = this._replace(id="hourly@next")
    assert await ledger.reserve(reservation(1000, following)) == Held((1000,))
    await settle(ledger, held, posted(700))
    assert await desk.totals(this) == (700, 0)
    assert await desk.totals(following) == (0, 1000)


async def test_a_hold_is_settled_in_a_window_that_has_ended_also_after_a_rebuild(
    desk: Desk,
) -> None:
    ledger = desk.sidecar()
    await ledger.warm()
    this = hourly(ledger.now_ms())
    held = reservation(900, this)
    await ledger.reserve(held)
    await desk.database.execute(
        "UPDATE spendra.accounts SET window_end = now() - interval '2 hours' WHERE org_id = $1",
        desk.org_id,
    )
    generation = await desk.database.fetchval("SELECT spendra.current_generation($1)", desk.org_id)
    await ledger._balances.forget(generation)  # noqa: SLF001 - as a flush does
    other = account("other", 1000)
    assert await ledger.reserve(reservation(1, other)) == Held((1,))
    await settle(ledger, held, posted(700))
    assert await desk.totals(this) == (700, 0)
