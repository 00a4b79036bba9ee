"""Real stores behind wires that can be cut; every test ends with the audit."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
import redis.asyncio as aioredis

from spendra.auditor import audit
from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.ledger.words import (
    Account,
    Exhausted,
    Held,
    LedgerUnavailableError,
    Reservation,
)
from tests.faults.wire import Wire
from tests.ledger.conftest import (
    Desk,
    database,  # noqa: F401 - a fixture, as are the next two
    desk,  # noqa: F401
    reservation,
    valkey,  # noqa: F401
)

_PORT = re.compile(r":(\d+)(?=/|$)")


def through(url: str, port: int) -> str:
    """The same server by another port."""
    return _PORT.sub(f":{port}", url, count=1)


def port_of(url: str) -> int:
    found = _PORT.search(url)
    assert found
    return int(found[1])


@pytest.fixture
async def redis_wire(desk: Desk) -> AsyncIterator[Wire]:  # noqa: F811
    async with Wire(port_of(desk.redis_url)) as wire:
        yield wire


@pytest.fixture
async def postgres_wire(desk: Desk) -> AsyncIterator[Wire]:  # noqa: F811
    async with Wire(port_of(desk.database_url)) as wire:
        yield wire


async def first_held(ledger: Ledger, account: Account) -> Reservation:
    """The first that is admitted, once the breaker has noticed that the store is back."""
    for _ in range(60):
        wanted = reservation(10, account)
        [answer] = await asyncio.gather(ledger.reserve(wanted), return_exceptions=True)
        assert isinstance(answer, Held | Exhausted | LedgerUnavailableError), answer
        if isinstance(answer, Held):
            return wanted
        await asyncio.sleep(0.25)
    raise AssertionError


async def landed(ledgers: list[Ledger]) -> None:
    """Until no settlement waits in a journal."""
    for _ in range(100):
        for ledger in ledgers:
            await ledger.drain()
        if not any(ledger.journaled for ledger in ledgers):
            break
        await asyncio.sleep(0.1)


async def sound(desk: Desk, redis_url: str = "") -> None:  # noqa: F811
    """Nothing is held, and no invariant is broken: at once, or as soon as what lags has landed."""
    client = aioredis.Redis.from_url(redis_url or desk.redis_url)
    try:
        for _ in range(40):
            found = await audit(desk.database, client, desk.org_id, idle=True)
            if not found:
                return
            await asyncio.sleep(0.25)
    finally:
        await client.aclose()
    raise AssertionError("\n".join(map(str, found)))
