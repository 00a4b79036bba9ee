"""Requests go while a store is away, as far as was set aside; the cap holds all the same."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from spendra_sidecar.ledger.failing_open import NOTHING, Wanted
from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.ledger.words import Claim, Exhausted, Held, LedgerUnavailableError
from tests.ledger.conftest import Desk, account, posted, reservation, settle
from tests.ledger.test_stores_away import Gate

OPEN = account("open", 1000, open_up_to=300)
CLOSED = account("closed", 10**6)
SOFT = account("soft", 0, kind="soft")
WANTED = Wanted([OPEN], 1)
ENCUMBERED = """SELECT COALESCE(sum(amount_nanousd), 0)::bigint FROM spendra.ledger_entries
    WHERE org_id = $1 AND account = 'encumbrance:held'"""
EVENTS = """SELECT outcome, cost_nanousd, facts -> 'admission' AS admission
    FROM spendra.spend_events WHERE org_id = $1 AND model <> 'allowance' ORDER BY cost_nanousd"""


class Stage:
    """A sidecar behind gates to both stores."""

    def __init__(self, desk: Desk, ledger: Ledger, gates: dict[str, Gate]) -> None:
        self.desk, self.ledger, self.gates = desk, ledger, gates

    def heal(self) -> None:
        for gate in self.gates.values():
            gate.is_open = True

    async def landed(self) -> None:
        """The stores are back, and the breaker has noticed."""
        self.heal()
        async with asyncio.timeout(20):
            while self.ledger._open._opened:  # noqa: SLF001 - nothing else tells
                await self.ledger.catch_up(WANTED)
                await asyncio.sleep(0.05)
        await self.ledger.drain()


@pytest.fixture
async def stage(desk: Desk) -> AsyncIterator[Stage]:
    gates = {"postgres": Gate(desk.database_url), "redis": Gate(desk.redis_url)}
    ledger = desk.sidecar(
        database_url=await gates["postgres"].open(),
        redis_url=await gates["redis"].open(),
        name="gated",
    )
    opened = Stage(desk, ledger, gates)
    yield opened
    opened.heal()
    await ledger.drain()
    for gate in gates.values():
        await gate.close()


async def encumbered(desk: Desk) -> int:
    found: int = await desk.database.fetchval(ENCUMBERED, desk.org_id)
    return found


async def is_refused(ledger: Ledger, amount_nanousd: int) -> bool:
    """For want of room, where Redis can say so, else of a store."""
    try:
        return isinstance(await ledger.reserve(reservation(amount_nanousd, OPEN)), Exhausted)
    except LedgerUnavailableError:
        return True


async def test_what_is_set_aside_counts_in_the_cap(desk: Desk) -> None:
    first, second = desk.sidecar(), desk.sidecar()
    for ledger in (first, second):
        for _ in range(3):
            await ledger.catch_up(WANTED)
    assert await desk.totals(OPEN) == (0, 600)
    assert await first.reserve(reservation(401, OPEN)) == Exhausted(OPEN, 600, 600, 1000)
    assert await first.reserve(reservation(400, OPEN)) == Held((1000,))
    await second.catch_up(NOTHING)
    assert await desk.totals(OPEN) == (0, 700)


@pytest.mark.parametrize("away", ["redis", "postgres"])
async def test_requests_go_up_to_what_was_set_aside_and_land_in_the_ledger(
    stage: Stage, away: str
) -> None:
    desk, ledger = stage.desk, stage.ledger
    await ledger.catch_up(WANTED)
    other = desk.sidecar()
    assert isinstance(await other.reserve(reservation(600, OPEN)), Held)
    await other.reserve(reservation(0, SOFT))
    stage.gates[away].shut()
    wanted = [reservation(100, OPEN, SOFT) for _ in range(3)]
    assert [await ledger.reserve(each) for each in wanted] == [
        Held((800, 0)), Held((900, 0)), Held((1000, 0)),
    ]  # fmt: skip
    assert await is_refused(ledger, 1)
    ledger.settle(wanted[0], posted(40))
    await stage.landed()
    ledger.settle(wanted[1], posted(50))
    await ledger.drain()
    settled, held = await desk.totals(OPEN)
    assert settled == 90
    assert held >= 100 + 600
    assert settled + held <= 1000
    assert await desk.totals(SOFT) == (90, 100)
    assert await encumbered(desk) == held
    events = await desk.database.fetch(EVENTS, desk.org_id)
    assert [tuple(event) for event in events if event["cost_nanousd"]] == [
        ("posted", 40, '["failed_open"]'), ("posted", 50, '["failed_open"]'),
    ]  # fmt: skip


async def test_afterwards_as_much_is_set_aside_as_there_is_room_for(stage: Stage) -> None:
    desk, ledger = stage.desk, stage.ledger
    await ledger.catch_up(WANTED)
    stage.gates["redis"].shut()
    drawn = reservation(200, OPEN)
    await ledger.reserve(drawn)
    ledger.settle(drawn, posted(10))
    await stage.landed()
    ledger._open._next_take = 0  # noqa: SLF001 - rather than wait for it
    await ledger.catch_up(WANTED)
    assert await desk.totals(OPEN) == (10, 300)
    await ledger.close()
    assert await desk.totals(OPEN) == (10, 0)
    assert await desk.sidecar().reserve(reservation(990, OPEN)) == Held((1000,))


@pytest.mark.parametrize(
    "wanted",
    [
        lambda: reservation(10, OPEN, CLOSED),
        lambda: reservation(10, SOFT),
        lambda: reservation(10),
        lambda: reservation(10, OPEN, claim=Claim("key", "body")),
        lambda: reservation(301, OPEN),
    ],
    ids=["a budget fails closed", "only soft ones", "no budget", "idempotency key", "too much"],
)
async def test_what_not_every_hard_budget_permits_does_not_go(
    stage: Stage, wanted: Callable[[], object]
) -> None:
    await stage.ledger.catch_up(WANTED)
    stage.gates["redis"].shut()
    with pytest.raises(LedgerUnavailableError):
        await stage.ledger.reserve(wanted())  # type: ignore[arg-type]
    assert isinstance(await stage.ledger.reserve(reservation(300, OPEN)), Held)


async def test_a_sidecar_that_died_meanwhile_lands_everything_when_it_starts(
    stage: Stage,
) -> None:
    desk, ledger = stage.desk, stage.ledger
    await ledger.catch_up(WANTED)
    stage.gates["postgres"].shut()
    ended, under_way = reservation(100, OPEN), reservation(100, OPEN)
    for each in (ended, under_way):
        assert isinstance(await ledger.reserve(each), Held)
    ledger.settle(ended, posted(40))
    await ledger._open.idle()  # noqa: SLF001 - its end is on disk
    again = desk.sidecar(name="gated")
    await again.warm()
    for _ in range(3):
        await again.catch_up(NOTHING)
    assert await desk.totals(OPEN) == (40, 100)
    assert await encumbered(desk) == 100
    await again._books.renew_lease(15)  # noqa: SLF001 - as the process does
    assert await desk.database.fetchval("SELECT spendra.label_lost($1)", desk.org_id) == 1
    assert await desk.sidecar().reserve(reservation(860, OPEN)) == Held((1000,))


async def test_landing_twice_lands_once(stage: Stage) -> None:
    """The commit's answer may be lost."""
    desk, ledger = stage.desk, stage.ledger
    await ledger.catch_up(WANTED)
    stage.gates["redis"].shut()
    await ledger.reserve(reservation(120, OPEN))
    opened = list(ledger._open._opened.values())  # noqa: SLF001
    stage.heal()
    await asyncio.sleep(1.1)
    for _ in range(2):
        assert await ledger._generations.land(opened)  # noqa: SLF001
    assert await desk.totals(OPEN) == (0, 300)
    assert await encumbered(desk) == 300


async def test_nothing_goes_when_the_disk_does_not_take_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.ledger.catch_up(WANTED)
    stage.gates["redis"].shut()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", full)
        with pytest.raises(LedgerUnavailableError):
            await stage.ledger.reserve(reservation(100, OPEN))
    assert isinstance(await stage.ledger.reserve(reservation(300, OPEN)), Held)


async def test_a_budget_that_stops_failing_open_gets_its_money_back(desk: Desk) -> None:
    ledger = desk.sidecar()
    await ledger.catch_up(WANTED)
    await ledger.catch_up(Wanted([], 2))
    assert await desk.totals(OPEN) == (0, 0)
    held = reservation(1000, OPEN)
    assert isinstance(await ledger.reserve(held), Held)
    await settle(ledger, held, posted(1))
