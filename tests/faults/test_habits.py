"""What users of other gateways suffered, on real stores, and does not happen here."""

import asyncio
import logging
import time

import pytest
import redis.asyncio as aioredis

from spendra.balances import keys
from spendra_sidecar.ledger.words import Held, LedgerUnavailableError
from tests.faults.conftest import port_of, sound, through
from tests.faults.wire import Wire
from tests.ledger.conftest import Desk, account, posted, reservation, settle
from tests.servers import free_port


async def test_a_small_cost_against_a_large_budget_counts(desk: Desk) -> None:
    """FIELD 5: one nano-dollar of nine million dollars."""
    ledger, large = desk.sidecar(), account("large", 9_000_000_000_000_000)
    held = reservation(2, large)
    assert isinstance(await ledger.reserve(held), Held)
    await settle(ledger, held, posted(1))
    assert await desk.totals(large) == (1, 0)
    assert await _live(desk, large.id) == (1, 1)
    await sound(desk)


async def test_a_store_that_was_down_at_the_start_is_used_once_it_is_up(desk: Desk) -> None:
    """FIELD 7: nothing is admitted without it, and afterwards exactly what fits."""
    async with Wire(free_port()) as wire:
        ledger = desk.sidecar(redis_url=through(desk.redis_url, wire.port))
        await ledger.warm()
        tight = account("tight", 40)
        with pytest.raises(LedgerUnavailableError):
            await ledger.reserve(reservation(10, tight))
        wire.target_port = port_of(desk.redis_url)
        held = [
            each
            for each in [reservation(10, tight) for _ in range(12)]
            if await _is_held(ledger, each)
        ]
        assert len(held) == 4
        for each in held:
            await settle(ledger, each, posted(10))
    await sound(desk)


async def test_restarting_every_sidecar_changes_no_balance(desk: Desk) -> None:
    """FIELD 8."""
    tight = account("tight", 100)
    first = desk.sidecar()
    ended, open_ = reservation(30, tight), reservation(20, tight)
    for each in (ended, open_):
        assert isinstance(await first.reserve(each), Held)
    await settle(first, ended, posted(25))
    before = await desk.totals(tight), await _live(desk, tight.id)
    for _ in range(3):
        await desk.sidecar().warm()
    assert (await desk.totals(tight), await _live(desk, tight.id)) == before == ((25, 20), (45, 25))
    await settle(first, open_, posted(1))
    await sound(desk)


async def test_a_dead_store_is_refused_for_with_one_line_in_the_log(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """FIELD 24: a breaker, one line an interval, no hang, no storm."""
    ledger = desk.sidecar(redis_url=through(desk.redis_url, free_port()))
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        answers = [await _refusal(ledger) for _ in range(60)]
    intervals = 1 + int((time.monotonic() - began) / 5)
    complaints = [each for each in caplog.records if "requests are refused" in each.message]
    assert 1 <= len(complaints) <= intervals
    assert "the stores did not answer a moment ago" in answers, "most callers wait for nothing"


async def test_api_redis_and_ledger_show_one_number(desk: Desk) -> None:
    """FIELD 10: after a burst with refusals, which left no trace (FIELD 3)."""
    ledgers, tight = [desk.sidecar(), desk.sidecar()], account("tight", 100)
    wanted = [reservation(10, tight) for _ in range(40)]
    calls = [ledgers[i % 2].reserve(each) for i, each in enumerate(wanted)]
    answers = await asyncio.gather(*calls)
    for each, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, Held):
            ledgers[0].settle(each, posted(7))
    await ledgers[0].drain()
    assert await desk.totals(tight) == (70, 0)
    assert await _live(desk, tight.id) == (70, 70)
    entries = await desk.database.fetchval(
        "SELECT sum(amount_nanousd) FROM spendra.ledger_entries"
        " WHERE org_id = $1 AND account LIKE 'expense:%'",
        desk.org_id,
    )
    assert entries == 70
    await sound(desk)


async def _live(desk: Desk, account_id: str) -> tuple[int, int]:
    """Taken and settled in Redis."""
    sql = "SELECT generation FROM spendra.generations WHERE org_id = $1"
    names = keys(desk.org_id, await desk.database.fetchval(sql, desk.org_id))
    client = aioredis.Redis.from_url(desk.redis_url)
    taken = await client.hget(names.taken, account_id)
    settled = await client.hget(names.settled, account_id)
    await client.aclose()
    return int(taken or 0), int(settled or 0)


async def _is_held(ledger: object, wanted: object) -> bool:
    for _ in range(20):
        try:
            return isinstance(await ledger.reserve(wanted), Held)  # type: ignore[attr-defined]
        except LedgerUnavailableError as error:
            if "given up" in str(error):
                return False
            await asyncio.sleep(0.3)
    return False


async def _refusal(ledger: object) -> str:
    with pytest.raises(LedgerUnavailableError) as error:
        await ledger.reserve(reservation(1, account("tight", 100)))  # type: ignore[attr-defined]
    return str(error.value)
