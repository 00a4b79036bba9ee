"""The same idempotency key twice: one request is done, whichever sidecars and stores are asked."""

import asyncio
import secrets

import redis.asyncio as aioredis

from spendra_sidecar.ledger.words import Account, Claim, Duplicate, Held, Outcome, Reservation
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


def claim(body: str = "b") -> Claim:
    return Claim(secrets.token_hex(8), body)


def asking(key: Claim, of: Account = WIDE) -> Reservation:
    return reservation(100, of, claim=key)


async def test_of_a_burst_over_two_sidecars_one_is_held(desk: Desk) -> None:
    ledgers, key = [desk.sidecar(), desk.sidecar()], claim()
    wanted = [asking(key) for _ in range(20)]
    verdicts = await gather_reserved(ledgers, wanted)
    [winner] = [i for i, verdict in enumerate(verdicts) if isinstance(verdict, Held)]
    losers = [verdict for i, verdict in enumerate(verdicts) if i != winner]
    assert losers == [Duplicate(wanted[winner].decision_id, "in_flight", 0, True)] * 19  # noqa: FBT003
    assert await desk.totals(WIDE) == (0, 100)


async def test_after_it_ended_a_repeat_learns_what_it_cost(desk: Desk) -> None:
    ledger, key = desk.sidecar(), claim()
    first = asking(key)
    await ledger.reserve(first)
    await settle(ledger, first, posted(40))
    assert await ledger.reserve(asking(key)) == Duplicate(
        first.decision_id, "posted", 40, same_body=True
    )
    assert await desk.totals(WIDE) == (40, 0)


async def test_another_body_under_the_same_key_is_told_so(desk: Desk) -> None:
    ledger, key = desk.sidecar(), claim()
    first = asking(key)
    await ledger.reserve(first)
    verdict = await ledger.reserve(asking(key._replace(body_digest="another")))
    assert verdict == Duplicate(first.decision_id, "in_flight", 0, same_body=False)


async def test_a_refusal_leaves_the_key_free(desk: Desk) -> None:
    ledger, key, tight = desk.sidecar(), claim(), account("tight", 99)
    assert not isinstance(await ledger.reserve(asking(key, tight)), Held)
    assert isinstance(await ledger.reserve(asking(key)), Held)


async def _ended_without_effect(desk: Desk, end: Outcome) -> None:
    ledger, other, key = desk.sidecar(), desk.sidecar(), claim()
    first = asking(key)
    await ledger.reserve(first)
    await settle(ledger, first, end)
    verdicts = await gather_reserved([ledger, other], [asking(key) for _ in range(6)])
    assert sum(isinstance(verdict, Held) for verdict in verdicts) == 1
    assert sum(isinstance(verdict, Duplicate) for verdict in verdicts) == 5
    assert await desk.totals(WIDE) == (0, 100)


async def test_a_request_that_never_left_leaves_the_key_to_one_repeat(desk: Desk) -> None:
    await _ended_without_effect(desk, voided())


async def test_a_request_that_the_provider_refused_leaves_the_key_to_one_repeat(
    desk: Desk,
) -> None:
    await _ended_without_effect(desk, posted(0)._replace(reason="upstream_error", status=429))


async def test_a_key_outlives_the_balances(desk: Desk) -> None:
    ledger, key = desk.sidecar(), claim()
    first = asking(key)
    await ledger.reserve(first)
    await settle(ledger, first, posted(40))
    client = aioredis.Redis.from_url(desk.redis_url)
    async for name in client.scan_iter(f"spendra:{{{desk.org_id}}}:*"):
        await client.delete(name)
    await client.aclose()
    repeats = await gather_reserved([ledger, desk.sidecar()], [asking(key) for _ in range(4)])
    assert repeats == [Duplicate(first.decision_id, "posted", 40, True)] * 4  # noqa: FBT003
    await ledger.drain()
    assert await desk.totals(WIDE) == (40, 0)
    for sidecar in desk.sidecars:
        await sidecar.drain()
    assert await ledger.reserve(reservation(1, WIDE)) == Held((41,))


async def test_another_attempt_of_the_same_request_is_no_repeat(desk: Desk) -> None:
    ledger, key = desk.sidecar(), claim()
    first, second = asking(key), asking(key)
    second.decision_id, second.attempt = first.decision_id, 2
    assert isinstance(await ledger.reserve(first), Held)
    assert isinstance(await ledger.reserve(second), Held)


async def test_keys_are_forgotten_after_a_day(desk: Desk) -> None:
    ledger, key = desk.sidecar(), claim()
    await ledger.reserve(asking(key))
    await desk.database.execute(
        "UPDATE spendra.idempotency_keys SET claimed_at = now() - interval '25 hours'"
        " WHERE org_id = $1",
        desk.org_id,
    )
    assert await desk.database.fetchval("SELECT spendra.forget_claims($1)", desk.org_id) == 1
    assert await desk.database.fetchval("SELECT spendra.forget_claims($1)", desk.org_id) == 0


async def test_what_was_given_up_meanwhile_does_not_leave(desk: Desk) -> None:
    """A sidecar slept between its two writes, and the worker gave its hold up."""
    ledger, other = desk.sidecar(), desk.sidecar()
    await ledger.reserve(reservation(1, WIDE))
    slow = reservation(100, WIDE)
    await desk.database.execute(
        "SELECT spendra.give_up($1, $2, 'never_durable')", desk.org_id, slow.id
    )
    verdicts = await asyncio.gather(ledger.reserve(slow), return_exceptions=True)
    assert [type(verdict).__name__ for verdict in verdicts] == ["LedgerUnavailableError"]
    await ledger.drain()
    assert await other.reserve(reservation(1, WIDE)) == Held((2,))
