"""Postgres that is up and says no: a full disk, deadlocks, serialization errors."""

import asyncio
import os
import secrets
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from spendra_sidecar.ledger.words import Held, Reservation
from tests.faults.conftest import first_held, landed, sound
from tests.faults.test_postgres_changes import own_postgres  # noqa: F401 - a fixture
from tests.ledger.conftest import Desk, account, open_desk, posted, reservation
from tests.servers import Postgres, Server

WIDE = account("wide", 10**9)
DISK = "48m"


@pytest.fixture(scope="module")
def small_disk() -> Iterator[Path]:
    """A file system of its own that is soon full."""
    place = Path(tempfile.mkdtemp(prefix="spendra-disk-"))
    place.chmod(0o755)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", place],  # noqa: S607
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        place.rmdir()
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)  # noqa: S607
    place.rmdir()


@pytest.fixture(scope="module")
def cramped_url(own_postgres: Postgres, small_disk: Path) -> str:  # noqa: F811
    """A database whose tables are on the small disk."""
    tables = small_disk / "tables"
    tables.mkdir()
    server = Path(f"/proc/{own_postgres.process.pid}").stat()
    os.chown(tables, server.st_uid, server.st_gid)
    own_postgres.psql(own_postgres.url, f"CREATE TABLESPACE small LOCATION '{tables}'")
    own_postgres.psql(own_postgres.url, "CREATE DATABASE cramped TABLESPACE small")
    url = f"{own_postgres.url.rpartition('/')[0]}/cramped"
    return own_postgres.install(url)


@pytest.fixture
async def cramped(cramped_url: str, valkey: Server, tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(cramped_url, valkey.url, tmp_path) as opened:
        yield opened


async def test_a_full_disk_refuses_what_is_new_and_loses_nothing(
    cramped: Desk, small_disk: Path
) -> None:
    ledger = cramped.sidecar()
    held = [reservation(10, WIDE) for _ in range(20)]
    for each in held:
        assert isinstance(await ledger.reserve(each), Held)
    filler = small_disk / "filler"
    _fill(filler)
    more = await _until_full(cramped)
    # What ends now cannot be booked either: it waits in the journal.
    for each in held:
        ledger.settle(each, posted(7))
    await asyncio.sleep(1)
    filler.unlink()
    held += [*more, await first_held(ledger, WIDE)]
    for each in held[20:]:
        ledger.settle(each, posted(7))
    await landed(cramped.sidecars)
    assert await cramped.totals(WIDE) == (7 * len(held), 0)
    await sound(cramped)


def _fill(path: Path) -> None:
    with path.open("wb") as file:
        try:
            while True:
                file.write(b"w" * 65536)
                file.flush()
        except OSError:
            pass


async def _until_full(desk: Desk) -> list[Reservation]:
    """What was still admitted until the pages at hand were used up."""
    found: list[Reservation] = []
    for _ in range(40):
        wanted = [reservation(10, WIDE) for _ in range(50)]
        ledger = desk.sidecars[0]
        calls = [ledger.reserve(each) for each in wanted]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        admitted = [w for w, a in zip(wanted, answers, strict=True) if isinstance(a, Held)]
        found += admitted
        if len(admitted) < len(wanted):
            return found
    raise AssertionError


@pytest.fixture
def plain_url(own_postgres: Postgres) -> str:  # noqa: F811
    url = own_postgres.create_database(f"refuses_{secrets.token_hex(4)}")
    return own_postgres.install(url)


@pytest.fixture
async def shared(plain_url: str, valkey: Server, tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(plain_url, valkey.url, tmp_path) as opened:
        yield opened


async def test_serialization_errors_neither_leak_nor_lose(shared: Desk) -> None:
    """Every transaction is serializable, so that many of a burst fail at their commit."""
    name = await shared.database.fetchval("SELECT current_database()")
    await shared.database.execute(
        f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"
    )
    ledgers = [shared.sidecar() for _ in range(3)]
    held = await _burst(shared, 90)
    for number, each in enumerate(held):
        ledgers[number % 3].settle(each, posted(7))
    for ledger in ledgers:
        late = await first_held(ledger, WIDE)
        ledger.settle(late, posted(7))
        held.append(late)
    await landed(shared.sidecars)
    assert await shared.totals(WIDE) == (7 * len(held), 0)
    await sound(shared)


async def _burst(desk: Desk, count: int) -> list[Reservation]:
    wanted = [reservation(10, WIDE) for _ in range(count)]
    calls = [desk.sidecars[i % len(desk.sidecars)].reserve(w) for i, w in enumerate(wanted)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    return [w for w, a in zip(wanted, answers, strict=True) if isinstance(a, Held)]


async def test_a_deadlock_that_ends_a_durable_write_leaves_nothing_behind(shared: Desk) -> None:
    """Somebody locks the ledger's tables against its order; Postgres ends the sidecar's write."""
    name = await shared.database.fetchval("SELECT current_database()")
    await shared.database.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '300ms'")
    ledger = shared.sidecar()
    first = await first_held(ledger, WIDE)
    rival = await asyncpg.connect(shared.database_url)
    await rival.execute("SET deadlock_timeout = '30s'")
    transaction = rival.transaction()
    await transaction.start()
    await rival.execute("LOCK TABLE spendra.ledger_entries IN EXCLUSIVE MODE")
    wanted = reservation(10, WIDE)
    writing = asyncio.ensure_future(ledger.reserve(wanted))
    await _waits_for(shared, "ledger_entries")
    await rival.execute("LOCK TABLE spendra.reservations IN ACCESS EXCLUSIVE MODE")
    [answer] = await asyncio.gather(writing, return_exceptions=True)
    assert not isinstance(answer, Held)
    await transaction.rollback()
    await rival.close()
    for each in (first, await first_held(ledger, WIDE)):
        ledger.settle(each, posted(7))
    await landed(shared.sidecars)
    assert await shared.totals(WIDE) == (14, 0)
    await sound(shared)
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await shared.database.fetchval(deadlocks) == 1


async def _waits_for(desk: Desk, table: str) -> None:
    for _ in range(200):
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::regclass"
        if await desk.database.fetchval(waits, f"spendra.{table}"):
            return
        await asyncio.sleep(0.01)
    raise AssertionError
