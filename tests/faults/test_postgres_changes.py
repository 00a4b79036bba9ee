"""Postgres that stands still, takes no more connections, or ends them: nothing leaks."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest

from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.ledger.words import Exhausted, Held, LedgerUnavailableError, Reservation
from tests.faults.conftest import first_held, landed, sound
from tests.ledger.conftest import Desk, account, open_desk, posted, reservation
from tests.servers import Postgres, Server, start_postgres

ROOM = 10
TIGHT = account("tight", 10 * ROOM)


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """A server of the module's own: it will be hurt."""
    server = start_postgres()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def own_database(own_postgres: Postgres) -> str:
    return own_postgres.install(own_postgres.create_database("faults"))


@pytest.fixture
async def hurt(own_database: str, valkey: Server, tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(own_database, valkey.url, tmp_path) as opened:
        yield opened


async def admitted(ledgers: list[Ledger], count: int) -> list[Reservation]:
    wanted = [reservation(10, TIGHT) for _ in range(count)]
    calls = [ledgers[i % len(ledgers)].reserve(each) for i, each in enumerate(wanted)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(each, Held | Exhausted | LedgerUnavailableError) for each in found), found
    return [each for each, answer in zip(wanted, found, strict=True) if isinstance(answer, Held)]


async def ended(desk: Desk, ledgers: list[Ledger], held: list[Reservation]) -> None:
    """Everything settles once, and what was given up has left nothing behind."""
    assert len(held) <= ROOM
    for each in held:
        ledgers[0].settle(each, posted(10))
    await landed(ledgers)
    assert await desk.totals(TIGHT) == (10 * len(held), 0)
    await sound(desk)


async def test_standing_still_and_going_on(hurt: Desk, own_postgres: Postgres) -> None:
    """SIGSTOP with a burst under way: 503s, and the settlements wait in the journal."""
    ledgers = [hurt.sidecar(), hurt.sidecar()]
    held = await admitted(ledgers, 4)
    assert len(held) == 4
    backends = [own_postgres.process, *psutil.Process(own_postgres.process.pid).children()]
    for each in backends:
        each.send_signal(signal.SIGSTOP)
    try:
        ledgers[0].settle(held[0], posted(10))
        assert await admitted(ledgers, 6) == []
    finally:
        for each in backends:
            each.send_signal(signal.SIGCONT)
    for ledger in ledgers:
        await ledger.drain()
    await ended(hurt, ledgers, held)


async def test_killed_and_started_again_under_a_burst(hurt: Desk, own_postgres: Postgres) -> None:
    ledgers = [hurt.sidecar(), hurt.sidecar()]
    held = await admitted(ledgers, 4)
    working = asyncio.create_task(admitted(ledgers, 30))
    await asyncio.to_thread(own_postgres.restart)
    held += await working
    await hurt.database.close()
    hurt.database = await asyncpg.connect(hurt.database_url)
    await ended(hurt, ledgers, held)


async def test_connections_ended_again_and_again_under_a_burst(hurt: Desk) -> None:
    ledgers = [hurt.sidecar(), hurt.sidecar()]
    working = asyncio.create_task(admitted(ledgers, 60))
    for _ in range(8):
        await hurt.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await asyncio.sleep(0.02)
    await ended(hurt, ledgers, await working)


async def test_too_many_connections(hurt: Desk) -> None:
    """A role that may open one: what needs another is refused, and goes on when it may."""
    name = f"sidecar_{secrets.token_hex(4)}"
    await hurt.database.execute(
        f"CREATE ROLE {name} LOGIN PASSWORD 'x' CONNECTION LIMIT 1 IN ROLE spendra_sidecar"
    )
    parts = urlsplit(hurt.database_url)
    url = parts._replace(netloc=f"{name}:x@{parts.netloc.rpartition('@')[2]}").geturl()
    ledgers = [hurt.sidecar(database_url=url)]
    assert await admitted(ledgers, 4) == []
    await hurt.database.execute(f"ALTER ROLE {name} CONNECTION LIMIT -1")
    held = [await first_held(ledgers[0], TIGHT)]
    held += await admitted(ledgers, 30)
    assert len(held) == ROOM
    await ended(hurt, ledgers, held)
