import asyncio
from pathlib import Path

import pytest
import redis.asyncio as aioredis
from hypothesis import given, settings
from hypothesis import strategies as st

from spendra.balances import keys, min_version_key
from spendra_sidecar.ledger.words import Account, Exhausted, Held, Limit, Limited, StalePolicy
from tests.ledger.conftest import (
    Desk,
    account,
    gather_reserved,
    open_desk,
    posted,
    reservation,
    settle,
    voided,
)
from tests.servers import Server


async def test_a_reservation_is_held_on_every_account_and_durable(desk: Desk) -> None:
    team, org = account("team", 1000), account("org", 5000)
    verdict = await desk.sidecar().reserve(reservation(300, team, org))
    assert verdict == Held((300, 300))
    assert await desk.totals(team) == (0, 300)
    assert await desk.totals(org) == (0, 300)


async def test_one_short_account_refuses_all_and_changes_nothing(desk: Desk) -> None:
    ledger, team, org = desk.sidecar(), account("team", 1000), account("org", 500)
    assert isinstance(await ledger.reserve(reservation(400, team, org)), Held)
    verdict = await ledger.reserve(reservation(200, team, org))
    assert verdict == Exhausted(org, 400, 400, 500)
    assert await ledger.reserve(reservation(600, team)) == Held((1000,))


async def test_a_burst_over_two_sidecars_admits_exactly_what_fits(desk: Desk) -> None:
    ledgers, tight = [desk.sidecar(), desk.sidecar()], account("tight", 37 * 100 + 99)
    verdicts = await gather_reserved(ledgers, [reservation(100, tight) for _ in range(200)])
    assert sum(isinstance(verdict, Held) for verdict in verdicts) == 37
    assert sum(isinstance(verdict, Exhausted) for verdict in verdicts) == 163
    assert await desk.totals(tight) == (0, 3700)


async def test_settling_returns_what_was_not_used(desk: Desk) -> None:
    ledger, tight = desk.sidecar(), account("tight", 1000)
    held = reservation(1000, tight)
    await ledger.reserve(held)
    await settle(ledger, held, posted(250))
    assert await desk.totals(tight) == (250, 0)
    assert await ledger.reserve(reservation(750, tight)) == Held((1000,))


async def test_settling_twice_books_once_and_the_first_outcome_stays(desk: Desk) -> None:
    ledger, tight = desk.sidecar(), account("tight", 1000)
    held = reservation(1000, tight)
    await ledger.reserve(held)
    await settle(ledger, held, posted(250))
    await settle(ledger, held, posted(900))
    await settle(ledger, held, voided())
    assert await desk.totals(tight) == (250, 0)
    events = await desk.database.fetch(
        "SELECT cost_nanousd, outcome FROM spendra.spend_events WHERE org_id = $1", desk.org_id
    )
    assert [tuple(event) for event in events] == [(250, "posted")]


async def test_a_voided_reservation_gives_everything_back(desk: Desk) -> None:
    ledger, tight = desk.sidecar(), account("tight", 1000)
    held = reservation(1000, tight)
    await ledger.reserve(held)
    await settle(ledger, held, voided())
    assert await desk.totals(tight) == (0, 0)
    assert isinstance(await ledger.reserve(reservation(1000, tight)), Held)


async def test_an_overrun_is_booked_and_closes_the_account(desk: Desk) -> None:
    ledger, tight = desk.sidecar(), account("tight", 1000)
    held = reservation(600, tight)
    await ledger.reserve(held)
    await settle(ledger, held, posted(1100))
    assert await desk.totals(tight) == (1100, 0)
    assert await ledger.reserve(reservation(1, tight)) == Exhausted(tight, 1100, 0, 1000)


async def test_the_newer_limit_wins_also_against_a_sidecar_that_missed_it(desk: Desk) -> None:
    ledger = desk.sidecar()
    old, lowered = account("b", 1000, version=1), account("b", 300, version=2)
    assert isinstance(await ledger.reserve(reservation(200, lowered)), Held)
    verdict = await ledger.reserve(reservation(200, old))
    assert verdict == Exhausted(old, 200, 200, 300)


async def test_a_soft_budget_counts_and_never_refuses(desk: Desk) -> None:
    ledger, soft = desk.sidecar(), account("soft", 100, kind="soft")
    assert await ledger.reserve(reservation(5000, soft)) == Held((5000,))
    assert await desk.totals(soft) == (0, 5000)


async def test_amounts_beyond_what_a_double_holds_stay_exact(desk: Desk) -> None:
    ledger, huge = desk.sidecar(), account("huge", 9_200_000_000_000_000_001)
    most = 2**53 - 1
    first = reservation(most, huge)
    await ledger.reserve(first)
    await desk.database.execute(
        "UPDATE spendra.accounts SET opening_nanousd = $2 WHERE org_id = $1",
        desk.org_id,
        9_200_000_000_000_000_001 - most - 10,
    )
    fresh = desk.sidecar()
    await _lose_the_data(desk)
    assert isinstance(await fresh.reserve(reservation(11, huge)), Exhausted)
    assert isinstance(await fresh.reserve(reservation(10, huge)), Held)
    assert isinstance(await fresh.reserve(reservation(1, huge)), Exhausted)


async def test_a_rate_limit_lets_a_minutes_requests_through_and_names_the_wait(desk: Desk) -> None:
    ledger, wide = desk.sidecar(), account("wide", 10**9)
    limit = Limit("requests_per_minute", "pol_rate", 5)
    wanted = [reservation(1, wide, limits=[limit]) for _ in range(8)]
    verdicts = [await ledger.reserve(each) for each in wanted]
    assert [isinstance(verdict, Held) for verdict in verdicts] == [True] * 5 + [False] * 3
    refused = verdicts[5]
    assert isinstance(refused, Limited)
    assert refused.limit == limit
    assert 0 < refused.retry_after_ms <= 12_000
    assert await desk.totals(wide) == (0, 5)


async def test_a_policy_version_below_the_floor_is_stale(desk: Desk) -> None:
    ledger, wide = desk.sidecar(), account("wide", 10**9)
    await ledger.reserve(reservation(1, wide, policy_version=3))
    client = aioredis.Redis.from_url(desk.redis_url)
    await client.set(min_version_key(desk.org_id), 4)
    await client.aclose()
    assert await ledger.reserve(reservation(1, wide, policy_version=3)) == StalePolicy(4)
    assert isinstance(await ledger.reserve(reservation(1, wide, policy_version=4)), Held)


async def test_balances_that_were_lost_are_rebuilt_from_the_books(desk: Desk) -> None:
    ledger, other, tight = desk.sidecar(), desk.sidecar(), account("tight", 1000)
    settled, held = reservation(300, tight), reservation(500, tight)
    await ledger.reserve(settled)
    await settle(ledger, settled, posted(100))
    await ledger.reserve(held)
    await _lose_the_data(desk)
    assert await other.reserve(reservation(401, tight)) == Exhausted(tight, 600, 500, 1000)
    assert isinstance(await other.reserve(reservation(400, tight)), Held)
    await settle(ledger, held, posted(500))
    assert await _redis_view(desk, tight) == (1000, 400)


async def test_many_sidecars_rebuilding_at_once_end_at_the_books_figure(desk: Desk) -> None:
    ledger, tight = desk.sidecar(), account("tight", 10_000)
    await ledger.reserve(reservation(700, tight))
    await _lose_the_data(desk)
    fleet = [desk.sidecar() for _ in range(6)]
    await asyncio.gather(*(each.reserve(reservation(50, tight)) for each in fleet))
    assert await _redis_view(desk, tight) == (1000, 1000)
    assert await desk.totals(tight) == (0, 1000)


Step = tuple[int, int, bool, set[int]]
"""Amount, cost, whether it stays held, and which accounts."""

_STEPS = st.tuples(
    st.integers(0, 150), st.integers(0, 200), st.booleans(), st.sets(st.integers(0, 2))
)


@settings(max_examples=25, deadline=None)
@given(
    limits=st.lists(st.integers(0, 400), min_size=1, max_size=3),
    steps=st.lists(_STEPS, max_size=12),
)
def test_both_stores_agree_with_a_plain_model(
    database: str,
    valkey: Server,
    tmp_path_factory: pytest.TempPathFactory,
    limits: list[int],
    steps: list[Step],
) -> None:
    directory = tmp_path_factory.mktemp("model")
    asyncio.run(_against_a_model(database, valkey.url, directory, limits, steps))


async def _against_a_model(
    database: str, redis_url: str, directory: Path, limits: list[int], steps: list[Step]
) -> None:
    async with open_desk(database, redis_url, directory) as desk:
        accounts = [account(f"b{i}", limit) for i, limit in enumerate(limits)]
        settled, held = [0] * len(limits), [0] * len(limits)
        ledger = desk.sidecar()
        for amount, cost, keep, chosen in steps:
            touched = sorted(i for i in chosen if i < len(limits))
            fits = all(settled[i] + held[i] + amount <= limits[i] for i in touched)
            wanted = reservation(amount, *(accounts[i] for i in touched))
            assert isinstance(await ledger.reserve(wanted), Held) == fits
            if fits and not keep:
                await settle(ledger, wanted, posted(cost))
            for i in touched if fits else ():
                held[i] += amount if keep else 0
                settled[i] += 0 if keep else cost
        for i, each in enumerate(accounts):
            if settled[i] or held[i]:
                assert await desk.totals(each) == (settled[i], held[i])
                assert await _redis_view(desk, each) == (settled[i] + held[i], held[i])


async def _lose_the_data(desk: Desk) -> None:
    """What a flush of this organization's balances leaves: scripts, and no keys."""
    client = aioredis.Redis.from_url(desk.redis_url)
    async for key in client.scan_iter(f"spendra:{{{desk.org_id}}}:*"):
        await client.delete(key)
    await client.aclose()


async def _redis_view(desk: Desk, of: Account) -> tuple[int, int]:
    generation = await desk.database.fetchval("SELECT spendra.current_generation($1)", desk.org_id)
    names = keys(desk.org_id, generation)
    client = aioredis.Redis.from_url(desk.redis_url)
    taken, settled = await client.hget(names.taken, of.id), await client.hget(names.settled, of.id)
    await client.aclose()
    return int(taken), int(taken) - int(settled)
