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
from dataclasses import replace
from pathlib import Path

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from spendra.command.processes.child import Program
from spendra.command.stores import postgres, valkey
from spendra.schema import migrations
from spendra_control_plane.migrate import render

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

    def install(self, url: str) -> str:
        """Spendra's schema in an empty database, as `spendra migrate --print` writes it."""
        self.psql(url, render(migrations()))
        return url

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


def start_redis() -> Server | None:
    """Redis 7 as Debian packages it; None where it is not installed."""
    binary = shutil.which("redis-server")
    if binary is None:
        return None
    directory, port = Path(tempfile.mkdtemp(prefix="spendra-redis-")), free_port()
    store = valkey.Valkey(directory, port, "test")
    store.initialize()
    program = store.program()
    return Server(replace(program, argv=(binary, *program.argv[1:])), store.url, port, directory)


class ValkeyCluster:
    """Three masters with a third of the slots each, and a replica of the first."""

    def __init__(self) -> None:
        self._bus_ports = [free_port() for _ in range(4)]
        self.nodes = [_start_cluster_node(port) for port in self._bus_ports]
        try:
            asyncio.run(self._join())
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"redis://:test@{hosts}"

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    async def _join(self) -> None:
        clients = [Redis.from_url(node.url) for node in self.nodes]
        shares = [(0, 5460), (5461, 10922), (10923, 16383)]
        for client, share in zip(clients, shares, strict=False):
            await client.execute_command("CLUSTER", "ADDSLOTSRANGE", *share)
        for node, bus_port in zip(self.nodes, self._bus_ports, strict=True):
            meet = ("CLUSTER", "MEET", "127.0.0.1", node.port, bus_port)
            await clients[0].execute_command(*meet)
        first = await clients[0].execute_command("CLUSTER", "MYID")

        async def replicates() -> bool:
            try:
                await clients[3].execute_command("CLUSTER", "REPLICATE", first)
            except ResponseError:
                return False
            return True

        async def agree() -> bool:
            infos = [await client.execute_command("CLUSTER", "INFO") for client in clients]
            rows = [await client.execute_command("CLUSTER", "SLOTS") for client in clients]
            states = {info.partition(b"cluster_state:")[2][:2] for info in infos}
            return states == {b"ok"} and all(
                sorted(len(row) for row in seen) == [3, 3, 4] for seen in rows
            )

        await _until(replicates)
        await _until(agree)
        for client in clients:
            await client.aclose()


def _start_cluster_node(bus_port: int) -> Server:
    directory, port = Path(tempfile.mkdtemp(prefix="spendra-cluster-")), free_port()
    store = valkey.Valkey(directory, port, "test")
    store.initialize()
    program = store.program()
    more = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--masterauth", "test",
            "--cluster-port", str(bus_port), "--cluster-replica-validity-factor", "0",
            "--repl-diskless-sync-delay", "0")  # fmt: skip
    return Server(replace(program, argv=(*program.argv, *more)), store.url, port, directory)


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
