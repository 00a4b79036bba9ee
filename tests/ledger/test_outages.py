"""A dead store: callers are refused at once, the log stays readable, and its return is noticed."""

import asyncio
import time

import pytest

from spendra_sidecar.ledger.words import Held, LedgerUnavailableError
from tests.ledger.conftest import Desk, account, reservation
from tests.ledger.test_stores_away import Gate

WIDE = account("wide", 10**9)


@pytest.mark.parametrize("away", ["redis", "postgres"])
async def test_a_dead_store_is_asked_no_more_than_now_and_then(
    desk: Desk, away: str, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate(desk.redis_url if away == "redis" else desk.database_url)
    url = await gate.open()
    ledger = desk.sidecar(**{f"{'database' if away == 'postgres' else away}_url": url})
    await ledger.reserve(reservation(1, WIDE))
    gate.shut()
    started = time.monotonic()
    for _ in range(60):
        with pytest.raises(LedgerUnavailableError):
            await ledger.reserve(reservation(1, WIDE))
    complaints = [each for each in caplog.records if "requests are refused" in each.message]
    took_s = time.monotonic() - started
    assert 1 <= len(complaints) <= 1 + took_s / 5
    reached_a_store = ledger._outages._failures  # noqa: SLF001 - nothing else tells
    assert 3 <= reached_a_store <= 4 + took_s
    gate.is_open = True
    async with asyncio.timeout(20):
        while True:
            try:
                verdict = await ledger.reserve(reservation(1, WIDE))
                break
            except LedgerUnavailableError:
                await asyncio.sleep(0.05)
    assert isinstance(verdict, Held)
    await ledger.drain()
    assert await desk.totals(WIDE) == (0, 2)
    await gate.close()
