"""Limits that count over all sidecars: tokens a minute, and requests in flight."""

import pytest
import redis.asyncio as aioredis

from spendra.balances import keys
from spendra_control_plane.stores.postgres import open_pool
from spendra_control_plane.worker import sweep
from spendra_control_plane.worker.holds import open_client
from spendra_sidecar.ledger.words import Held, Limit, Limited, Outcome, Reservation, Tokens
from tests.ledger.conftest import (
    Desk,
    account,
    gather_reserved,
    posted,
    reservation,
    settle,
    voided,
)

WIDE = account("wide", 10**9)
TWO_AT_ONCE = Limit("max_concurrency", "pol_two", 2)
THOUSAND = Limit("tokens_per_minute", "pol_tokens", 1000)


def flying() -> Reservation:
    return reservation(1, WIDE, limits=[TWO_AT_ONCE])


def of_tokens(most: int) -> Reservation:
    return reservation(1, WIDE, limits=[THOUSAND], most_tokens=most)


def used(tokens: int) -> Outcome:
    return posted(1)._replace(tokens=Tokens(input=tokens))


async def test_concurrency_is_counted_over_all_sidecars(desk: Desk) -> None:
    ledgers = [desk.sidecar(), desk.sidecar()]
    verdicts = await gather_reserved(ledgers, [flying() for _ in range(9)])
    assert sum(isinstance(verdict, Held) for verdict in verdicts) == 2
    assert sum(verdict == Limited(TWO_AT_ONCE, 1000) for verdict in verdicts) == 7


@pytest.mark.parametrize("end", [posted(1), voided()], ids=["posted", "voided"])
async def test_what_has_ended_counts_no_more(desk: Desk, end: Outcome) -> None:
    ledger, first, second = desk.sidecar(), flying(), flying()
    for each in (first, second):
        assert isinstance(await ledger.reserve(each), Held)
    for _ in range(2):
        await settle(ledger, first, end)
    assert isinstance(await ledger.reserve(flying()), Held)
    assert isinstance(await ledger.reserve(flying()), Limited)


async def test_a_dead_sidecars_concurrency_comes_back_and_its_money_stays_held(
    desk: Desk,
) -> None:
    dead, other = desk.sidecar(), desk.sidecar()
    for each in (flying(), flying()):
        await dead.reserve(each)
    assert isinstance(await other.reserve(flying()), Limited)
    pool, client = await open_pool(desk.database_url, largest=1), open_client(desk.redis_url)
    await sweep.label_lost(pool, desk.org_id)
    for _ in range(2):
        assert await sweep.let_go(pool, client, desk.org_id) == 2
    await pool.close()
    await client.aclose()
    for _ in range(2):
        assert isinstance(await other.reserve(flying()), Held)
    assert isinstance(await other.reserve(flying()), Limited)
    assert await desk.totals(WIDE) == (0, 4)


async def test_concurrency_survives_a_rebuild(desk: Desk) -> None:
    ledger, first = desk.sidecar(), flying()
    await ledger.reserve(first)
    client = aioredis.Redis.from_url(desk.redis_url)
    async for name in client.scan_iter(f"spendra:{{{desk.org_id}}}:*"):
        await client.delete(name)
    assert isinstance(await ledger.reserve(flying()), Held)
    assert isinstance(await ledger.reserve(flying()), Limited)
    await settle(ledger, first, posted(1))
    generation = await desk.database.fetchval("SELECT spendra.current_generation($1)", desk.org_id)
    running = await client.hgetall(keys(desk.org_id, generation).running)
    await client.aclose()
    assert running == {b"pol_two": b"1"}


async def test_tokens_are_counted_at_their_most_and_given_back_when_not_used(desk: Desk) -> None:
    ledger, first = desk.sidecar(), of_tokens(900)
    await ledger.reserve(first)
    refused = await ledger.reserve(of_tokens(200))
    assert isinstance(refused, Limited)
    assert refused.limit == THOUSAND
    assert 0 < refused.retry_after_ms <= 6000
    await settle(ledger, first, used(100))
    assert isinstance(await ledger.reserve(of_tokens(700)), Held)
    assert isinstance(await ledger.reserve(of_tokens(300)), Limited)


async def test_tokens_that_nobody_counted_are_taken_to_have_been_used(desk: Desk) -> None:
    ledger, first = desk.sidecar(), of_tokens(900)
    await ledger.reserve(first)
    await settle(ledger, first, posted(1)._replace(confidence="worst_case", tokens=Tokens()))
    assert isinstance(await ledger.reserve(of_tokens(200)), Limited)


async def test_a_refused_request_uses_up_no_tokens_and_no_concurrency(desk: Desk) -> None:
    ledger, tight = desk.sidecar(), account("tight", 0)
    for _ in range(3):
        poor = reservation(1, tight, limits=[TWO_AT_ONCE, THOUSAND], most_tokens=1000)
        assert not isinstance(await ledger.reserve(poor), Held)
    both = reservation(1, WIDE, limits=[TWO_AT_ONCE, THOUSAND], most_tokens=1000)
    assert isinstance(await ledger.reserve(both), Held)
