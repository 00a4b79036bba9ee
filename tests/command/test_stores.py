"""The embedded servers are real ones: they keep what was committed, heal, and leave nothing."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis.asyncio
import redis.exceptions

from spendra.arguments import CommandError
from spendra.command import ports
from spendra.command.data_dir import DataDir
from spendra.command.processes.child import Child
from spendra.command.processes.supervisor import Supervisor
from spendra.command.stores import external
from spendra.command.stores.postgres import Postgres
from spendra.command.stores.valkey import Valkey

Eventually = Callable[[Callable[[], object]], Awaitable[None]]


@dataclass
class Stores:
    postgres: Postgres
    valkey: Valkey
    supervisor: Supervisor
    lines: list[str]

    async def fetch(self, query: str) -> object:
        connection = await asyncpg.connect(self.postgres.url, timeout=5)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    async def eventually_fetch(self, query: str) -> object:
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError):
                return await self.fetch(query)
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Stores]:
    with DataDir(directory / "data") as data:
        port = ports.choose(data.secrets.ports, "postgres")
        postgres = Postgres(data.path / "postgres", port, data.secrets.postgres_password)
        port = ports.choose(data.secrets.ports, "valkey")
        valkey = Valkey(data.path / "valkey", port, data.secrets.redis_password)
        data.save()
        lines: list[str] = []
        supervisor = Supervisor(data.logs, say=lines.append, changed=lambda: None)
        postgres.initialize()
        valkey.initialize()
        try:
            await supervisor.start(postgres.program(), valkey.program())
            yield Stores(postgres, valkey, supervisor, lines)
        finally:
            await supervisor.stop()


def left_in(directory: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cwd"])
        if (process.info["cwd"] or "").startswith(str(directory))
    ]


async def test_both_servers_answer_with_their_passwords_only(directory: Path) -> None:
    async with running(directory) as stores:
        version = await stores.fetch("SHOW server_version")
        assert str(version).startswith("18")
        host_and_port = stores.postgres.url.rpartition("@")[2]
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(f"postgresql://spendra:wrong@{host_and_port}", timeout=5)
        nobody = redis.asyncio.Redis.from_url(f"redis://{stores.valkey.url.rpartition('@')[2]}")
        with pytest.raises(redis.exceptions.AuthenticationError):
            await nobody.ping()
        await nobody.aclose()


async def test_commits_are_durable_and_valkey_evicts_and_persists_nothing(directory: Path) -> None:
    async with running(directory) as stores:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await stores.fetch(f"SHOW {setting}") == "on"
        client = redis.asyncio.Redis.from_url(stores.valkey.url, decode_responses=True)
        configured = await client.config_get("maxmemory-policy", "appendonly", "save")
        await client.aclose()
        assert configured == {"maxmemory-policy": "noeviction", "appendonly": "no", "save": ""}


async def test_a_second_start_finds_the_data_and_the_address(directory: Path) -> None:
    async with running(directory) as stores:
        first = stores.postgres.url, stores.valkey.url
        await stores.fetch("CREATE TABLE kept AS SELECT 42 AS answer")
    async with running(directory) as stores:
        assert (stores.postgres.url, stores.valkey.url) == first
        assert await stores.fetch("SELECT answer FROM kept") == 42


async def test_a_stop_leaves_no_process(directory: Path) -> None:
    async with running(directory) as stores:
        pids = stores.supervisor.pids()
        assert sorted(pids) == ["postgres", "valkey"]
        assert left_in(directory)
    assert not left_in(directory)
    assert not any(psutil.pid_exists(pid) for pid in pids.values())


async def test_postgres_heals_after_kill_9_and_keeps_what_was_committed(directory: Path) -> None:
    async with running(directory) as stores:
        await stores.fetch("CREATE TABLE kept AS SELECT 42 AS answer")
        killed = stores.supervisor.pids()["postgres"]
        os.kill(killed, signal.SIGKILL)
        assert await stores.eventually_fetch("SELECT answer FROM kept") == 42
        assert stores.supervisor.pids()["postgres"] != killed
        assert stores.lines[0].startswith("postgres was killed by SIGKILL; started again, pid ")


async def test_valkey_heals_after_kill_9(directory: Path, eventually: Eventually) -> None:
    async with running(directory) as stores:
        killed = stores.supervisor.pids()["valkey"]
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: stores.supervisor.pids()["valkey"] != killed)
        await eventually(stores.valkey.program().ready)
        assert len(stores.lines) == 1


async def test_a_postgres_left_by_a_killed_parent_makes_way(
    directory: Path, eventually: Eventually
) -> None:
    async with running(directory) as stores:
        program = stores.postgres.program()
    left = await Child.start(program, directory / "left.log")
    await eventually(program.ready)
    async with running(directory) as stores:
        assert await left.wait() == 0
        assert await stores.fetch("SELECT 1") == 1


async def test_external_stores_that_do_not_answer_are_named() -> None:
    unused = f"127.0.0.1:{ports.choose({}, 'unused')}"
    url = f"postgresql://someone:secret@{unused}/db"
    with pytest.raises(CommandError, match=r"which SPENDRA_DATABASE_URL names") as raised:
        await external.require(url, "redis://127.0.0.1:1/0")
    assert raised.value.code == 69
    assert unused in str(raised.value)
    assert "secret" not in str(raised.value)
