"""What a lost message, a cut or a silence between a sidecar and a store does to money: nothing."""

import asyncio

import pytest

from spendra_sidecar.ledger.words import Exhausted, Held, LedgerUnavailableError
from tests.faults.conftest import sound, through
from tests.faults.wire import Wire
from tests.ledger.conftest import Desk, account, gather_reserved, posted, reservation, settle


async def test_a_hold_whose_reply_is_lost_is_held_once(desk: Desk, redis_wire: Wire) -> None:
    ledger = desk.sidecar(redis_url=through(desk.redis_url, redis_wire.port))
    tight = account("tight", 100)
    await settle(ledger, await _held(ledger, reservation(10, tight)), posted(1))
    redis_wire.replies_to_lose = 1
    held = await _held(ledger, reservation(60, tight))
    assert redis_wire.lost == 1
    assert isinstance(await ledger.reserve(reservation(60, tight)), Exhausted)
    await settle(ledger, held, posted(60))
    assert await desk.totals(tight) == (61, 0)
    await sound(desk)


async def test_a_reply_cut_in_the_middle_is_no_answer(desk: Desk, redis_wire: Wire) -> None:
    ledger = desk.sidecar(redis_url=through(desk.redis_url, redis_wire.port))
    tight = account("tight", 100)
    await settle(ledger, await _held(ledger, reservation(10, tight)), posted(1))
    redis_wire.cut_after = 7
    held = await _held(ledger, reservation(60, tight))
    assert redis_wire.lost == 1
    await settle(ledger, held, posted(5))
    assert await desk.totals(tight) == (6, 0)
    await sound(desk)


async def test_a_commit_whose_answer_is_lost_neither_leaves_nor_leaks(
    desk: Desk, postgres_wire: Wire
) -> None:
    """FIELD 11: a store error in the middle of reserve neither leaks nor double-counts."""
    ledger = desk.sidecar(database_url=through(desk.database_url, postgres_wire.port))
    tight = account("tight", 100)
    await settle(ledger, await _held(ledger, reservation(10, tight)), posted(1))
    postgres_wire.replies_to_lose = 1
    with pytest.raises(LedgerUnavailableError):
        await ledger.reserve(reservation(60, tight))
    assert postgres_wire.lost == 1
    await ledger.drain()
    assert await desk.totals(tight) == (1, 0), "its hold came back, in both stores"
    await settle(ledger, await _held(ledger, reservation(99, tight)), posted(9))
    await sound(desk)


async def test_a_settlement_whose_answer_is_lost_is_booked_once(
    desk: Desk, postgres_wire: Wire
) -> None:
    """FIELD 12: one request settles once."""
    ledger = desk.sidecar(database_url=through(desk.database_url, postgres_wire.port))
    tight = account("tight", 100)
    held = await _held(ledger, reservation(60, tight))
    postgres_wire.replies_to_lose = 2
    await settle(ledger, held, posted(40))
    postgres_wire.replies_to_lose = 0
    assert postgres_wire.lost >= 1
    await asyncio.sleep(0.1)
    await ledger.drain()
    assert ledger.journaled == 0
    assert await desk.totals(tight) == (40, 0)
    await sound(desk)


@pytest.mark.parametrize("store", ["redis", "postgres"])
async def test_a_store_that_falls_silent_is_refused_for_and_leaves_nothing_behind(
    desk: Desk, redis_wire: Wire, postgres_wire: Wire, store: str
) -> None:
    """FIELD 24: a dead store is a deadline and a 503, not a hang."""
    ledger = desk.sidecar(
        redis_url=through(desk.redis_url, redis_wire.port),
        database_url=through(desk.database_url, postgres_wire.port),
    )
    tight = account("tight", 100)
    await settle(ledger, await _held(ledger, reservation(10, tight)), posted(1))
    wire = redis_wire if store == "redis" else postgres_wire
    wire.swallows = True
    async with asyncio.timeout(30):
        with pytest.raises(LedgerUnavailableError):
            await ledger.reserve(reservation(60, tight))
    wire.swallows = False
    wire.cut()
    await ledger.drain()
    assert await desk.totals(tight) == (1, 0)
    await settle(ledger, await _held(ledger, reservation(99, tight)), posted(9))
    await sound(desk)


async def test_wires_cut_again_and_again_under_a_burst_overspend_nothing(
    desk: Desk, redis_wire: Wire, postgres_wire: Wire
) -> None:
    """FIELD 1: never more than floor(room / worst case)."""
    ledgers = [
        desk.sidecar(
            redis_url=through(desk.redis_url, redis_wire.port),
            database_url=through(desk.database_url, postgres_wire.port),
        )
        for _ in range(3)
    ]
    tight = account("tight", 100)
    wanted = [reservation(10, tight) for _ in range(60)]
    calls = [ledgers[i % 3].reserve(each) for i, each in enumerate(wanted)]
    working = asyncio.gather(*calls, return_exceptions=True)
    for _ in range(6):
        await asyncio.sleep(0.03)
        redis_wire.cut()
        postgres_wire.cut()
    found = await working
    assert all(isinstance(each, Held | Exhausted | LedgerUnavailableError) for each in found), found
    held = [each for each, answer in zip(wanted, found, strict=True) if isinstance(answer, Held)]
    assert len(held) <= 10
    for each in held:
        ledgers[0].settle(each, posted(10))
    for ledger in ledgers:
        await ledger.drain()
    assert await desk.totals(tight) == (10 * len(held), 0)
    await sound(desk)


async def test_a_first_use_by_many_sidecars_at_once_admits_what_fits(desk: Desk) -> None:
    """FIELD 2 and 6: an account nobody has seen, rebuilt and opened by all of them together."""
    ledgers = [desk.sidecar() for _ in range(6)]
    fresh = account("fresh", 100)
    wanted = [reservation(10, fresh) for _ in range(60)]
    found = await gather_reserved(ledgers, wanted)
    assert [type(each) for each in found].count(Held) == 10
    for each, answer in zip(wanted, found, strict=True):
        if isinstance(answer, Held):
            ledgers[0].settle(each, posted(3))
    await ledgers[0].drain()
    assert await desk.totals(fresh) == (30, 0)
    await sound(desk)


async def _held(ledger: object, wanted: object) -> object:
    """Held, at the second try if the breaker still waits for the store."""
    for _ in range(20):
        try:
            answer = await ledger.reserve(wanted)  # type: ignore[attr-defined]
        except LedgerUnavailableError:
            await asyncio.sleep(0.3)
            wanted = reservation(wanted.amount_nanousd, *wanted.accounts)  # type: ignore[attr-defined]
            continue
        assert isinstance(answer, Held), answer
        return wanted
    raise AssertionError("it never answered")
