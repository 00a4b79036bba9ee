"""Real servers for tests: the embedded Postgres and Valkey, as processes that can be killed."""

import asyncio
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg

from spendra.command.processes.child import Program
from spendra.command.stores import postgres, valkey

READY_WITHIN_S = 30.0


class Server:
    """One server process. `restart` brings it back, after a crash, with what it kept on disk."""

    def __init__(self, program: Program, url: str, port: int, directory: Path) -> None:
        self._program = program
        self._directory = directory
        self.url = url
        self.port = port
        self.process = self._start()

    def kill(self) -> None:
        """As a crash: no goodbye."""
        self.process.kill()
        self.process.wait(READY_WITHIN_S)

    def restart(self) -> None:
        self.kill()
        self.process = self._start()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it and remove its data."""
        if self.process.poll() is None:
            self.resume()
            self.process.send_signal(self._program.stop_signal)
            self.process.wait(READY_WITHIN_S)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _start(self) -> subprocess.Popen[bytes]:
        program = self._program
        asyncio.run(program.prepare())
        process = subprocess.Popen(
            program.argv,
            user=program.user or None,
            group=pwd.getpwnam(program.user).pw_gid if program.user else None,
            extra_groups=[] if program.user else None,
            cwd=program.directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        asyncio.run(_until(program.ready))
        return process


class Postgres(Server):
    """A cluster with one superuser; `url` names its first database."""

    def create_database(self, name: str) -> str:
        """The URL of a new, empty database."""
        self.psql(self.url, f'CREATE DATABASE "{name}"')
        return self.url.rpartition("/")[0] + "/" + name

    def psql(self, url: str, sql: str) -> None:
        """Run a script. Raises asyncpg.PostgresError when it fails."""
        asyncio.run(_execute(url, sql))


def start_postgres() -> Postgres:
    """As root it runs under the user `pgserver`, as `spendra up` does it."""
    directory, port = Path(tempfile.mkdtemp(prefix="spendra-postgres-")), free_port()
    store = postgres.Postgres(directory / "data", port, "test")
    store.initialize()
    return Postgres(store.program(), store.url, port, directory)


def start_valkey(port: int | None = None) -> Server:
    """A server that keeps nothing on disk."""
    directory, chosen = Path(tempfile.mkdtemp(prefix="spendra-valkey-")), port or free_port()
    store = valkey.Valkey(directory, chosen, "test")
    store.initialize()
    return Server(store.program(), store.url, chosen, directory)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int) -> None:
    """Until something accepts there. Raises TimeoutError after READY_WITHIN_S."""
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    msg = f"nothing listens on port {port}"
    raise TimeoutError(msg)


async def _until(ready: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not await ready():
        if time.monotonic() > deadline:
            msg = "the server did not become ready"
            raise TimeoutError(msg)
        await asyncio.sleep(0.02)


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
