"""A sidecar behind PgBouncer in transaction mode."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis.asyncio as aioredis

from spendra_sidecar.ledger.balances import Balances
from spendra_sidecar.ledger.books import Books
from spendra_sidecar.ledger.journal import Journal
from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.ledger.words import Claim, Held
from spendra_sidecar.metrics import Metrics
from tests.ledger.conftest import (
    TIMEOUT_S,
    Desk,
    account,
    gather_reserved,
    posted,
    reservation,
    settle,
)
from tests.servers import free_port, wait_for_port

BINARY = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
pytestmark = pytest.mark.skipif(BINARY is None, reason="pgbouncer is not installed")
CONFIG = """[databases]
* = host={host} port={port} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
"""


@pytest.fixture
def pooled(database: str) -> Iterator[str]:
    """The database's URL through a pooler with three connections for everybody."""
    there, port = urlsplit(database), free_port()
    directory = Path(tempfile.mkdtemp(prefix="spendra-pooler-"))
    config = directory / "pgbouncer.ini"
    server = {"host": there.hostname, "port": there.port}
    login = {"user": there.username, "password": there.password}
    config.write_text(CONFIG.format(**server, **login, own_port=port))
    user = "pgserver" if os.getuid() == 0 else None
    for path in (directory, config) if user else ():
        shutil.chown(path, user)
    process = subprocess.Popen([str(BINARY), "-q", str(config)], user=user, cwd=directory)
    try:
        wait_for_port(port)
        yield f"postgresql://{there.username}@127.0.0.1:{port}{there.path}"
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(directory, ignore_errors=True)


def pooled_sidecar(desk: Desk, url: str, name: str) -> Ledger:
    balances = Balances(desk.redis_url, desk.org_id, TIMEOUT_S)
    books = Books(url, desk.org_id, name, TIMEOUT_S, is_pooled=True)
    journal = Journal(desk.state_dir / name / "journal.jsonl")
    ledger = Ledger(balances, books, journal, Metrics())
    desk.sidecars.append(ledger)
    desk.closing += [balances, books]
    return ledger


async def test_reserving_and_settling_work_while_connections_are_shared(
    desk: Desk, pooled: str
) -> None:
    ledgers = [pooled_sidecar(desk, pooled, f"pooled-{n}") for n in range(4)]
    tight = account("tight", 60 * 100)
    wanted = [reservation(100, tight, claim=Claim(f"key-{n}", "b")) for n in range(100)]
    verdicts = await gather_reserved(ledgers, wanted)
    held = [(n, each) for n, each in enumerate(wanted) if isinstance(verdicts[n], Held)]
    assert len(held) == 60
    for number, each in held:
        ledgers[number % 4].settle(each, posted(40))
    await asyncio.gather(*(ledger.drain() for ledger in ledgers))
    assert [ledger.journaled for ledger in ledgers] == [0] * 4
    assert await desk.totals(tight) == (60 * 40, 0)


async def test_rebuilding_and_extending_work_too(desk: Desk, pooled: str) -> None:
    ledger, tight = pooled_sidecar(desk, pooled, "pooled"), account("tight", 1000)
    held = reservation(300, tight)
    await ledger.reserve(held)
    client = aioredis.Redis.from_url(desk.redis_url)
    async for name in client.scan_iter(f"spendra:{{{desk.org_id}}}:*"):
        await client.delete(name)
    await client.aclose()
    assert await ledger.extend(held, 1, 200) == Held((500,))
    await settle(ledger, held, posted(450))
    assert await desk.totals(tight) == (450, 0)
