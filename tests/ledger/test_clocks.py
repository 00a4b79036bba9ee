"""Nothing depends on a sidecar's wall clock being right."""

import time
from datetime import UTC, datetime

import pytest

from spendra_sidecar.ledger.clock import StoreClock
from spendra_sidecar.ledger.words import Account, Held, WrongPeriod
from tests.ledger.conftest import Desk, account, reservation

HOUR_MS = 3_600_000
RIGHT_NS = time.time_ns


@pytest.fixture(params=[-1, 1], ids=["an hour slow", "an hour fast"])
def wrong_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    off_ns = request.param * HOUR_MS * 1_000_000
    monkeypatch.setattr("time.time_ns", lambda: RIGHT_NS() + off_ns)


def right_ms() -> int:
    return RIGHT_NS() // 1_000_000


@pytest.mark.usefixtures("wrong_clock")
async def test_a_sidecar_goes_by_the_stores_clock_before_its_first_request(desk: Desk) -> None:
    ledger = desk.sidecar()
    assert abs(ledger.now_ms() - right_ms()) > HOUR_MS // 2
    await ledger.warm()
    assert abs(ledger.now_ms() - right_ms()) < 60_000


async def test_a_clock_that_jumps_is_followed_at_the_next_hold(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = desk.sidecar()
    await ledger.reserve(reservation(1, account("wide", 100)))
    monkeypatch.setattr("time.time_ns", lambda: RIGHT_NS() + HOUR_MS * 1_000_000)
    await ledger.reserve(reservation(1, account("wide", 100)))
    assert abs(ledger.now_ms() - right_ms()) < 60_000


@pytest.mark.usefixtures("wrong_clock")
async def test_a_window_that_is_not_the_stores_is_refused_and_corrected(desk: Desk) -> None:
    ledger = desk.sidecar()
    await ledger.warm()
    ledger._balances.clock._offset_ms = 0  # noqa: SLF001 - as if it had jumped since

    def window() -> Account:
        start = ledger.now_ms() // HOUR_MS * 3600
        return account("hourly", 100)._replace(
            id=f"hourly@{start}", start_s=start, end_s=start + 3600
        )

    assert isinstance(await ledger.reserve(reservation(1, window())), WrongPeriod)
    assert isinstance(await ledger.reserve(reservation(1, window())), Held)


def test_small_differences_are_the_time_an_answer_takes() -> None:
    clock = StoreClock()
    clock.heard(clock.now_ms() - 900)
    assert abs(clock.now_ms() - right_ms()) < 500
    clock.contradicted(right_ms() + 5000)
    assert clock.now_ms() > right_ms() + 4000


@pytest.mark.usefixtures("wrong_clock")
async def test_leases_go_by_postgres(desk: Desk) -> None:
    books = desk.sidecar()._books  # noqa: SLF001 - what the process's own task calls
    await books.renew_lease(15)
    expires = await desk.database.fetchval(
        "SELECT expires_at FROM spendra.sidecar_leases WHERE org_id = $1", desk.org_id
    )
    right = datetime.fromtimestamp(right_ms() / 1000, UTC)
    assert abs((expires - right).total_seconds() - 15) < 60
