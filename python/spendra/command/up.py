"""`spendra up`: all of Spendra on one machine, from nothing to a first governed request."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from itertools import chain
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from spendra.command import announce, ports
from spendra.command.bootstrap import Bootstrap
from spendra.command.data_dir import DataDir, Organization
from spendra.command.options import CREDENTIALS, Options, Upstream, read, simulated
from spendra.command.processes.child import Program
from spendra.command.processes.supervisor import Supervisor
from spendra.command.stores import external
from spendra.command.stores.postgres import Postgres
from spendra.command.stores.valkey import Valkey

_SECRET_VARIABLES: Final = {
    "SPENDRA_ADMIN_TOKEN",
    "SPENDRA_MASTER_KEY",
    *chain.from_iterable(CREDENTIALS.values()),
}
"""A child gets these only when they are meant for it."""
_DRAIN_S: Final = 25.0
"""Longer than the 20 s that a sidecar gives the requests it has begun."""


def main(argv: list[str]) -> int:
    """Until a signal. 64: a bad option. 69: a port, a store or a child that is not to be had."""
    options = read(argv, os.environ)
    with DataDir(options.data_dir) as data:
        asyncio.run(_run(options, data))
    return 0


async def _run(options: Options, data: DataDir) -> None:
    system = _System(options, data)
    stop = _listen_for_signals(system.supervisor)
    try:
        await _unless(stop, system.bring_up())
        await stop.wait()
        announce.say("Stopping.")
    finally:
        await system.take_down()


def _listen_for_signals(supervisor: Supervisor) -> asyncio.Event:
    """The event that the first signal sets; a second one sets the supervisor's hurry."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def heard() -> None:
        (supervisor.hurry if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, heard)
    return stop


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, but give it up when `stop` is set first."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    elif not stop.is_set():
        working.result()


class _System:
    """The processes in the order in which they need each other."""

    def __init__(self, options: Options, data: DataDir) -> None:
        self._options, self._data = options, data
        self._running: announce.Running | None = None
        self._postgres: Postgres | None = None
        self.supervisor = Supervisor(data.logs, say=announce.say, changed=self._changed)
        self._sidecar_urls = [_url(port) for port in options.sidecar_ports]
        self._control_plane_url = _url(options.control_plane_port)
        secrets = data.secrets
        self._admin_token = os.environ.get("SPENDRA_ADMIN_TOKEN") or secrets.bootstrap_token
        self._master_key = os.environ.get("SPENDRA_MASTER_KEY") or secrets.master_key

    async def bring_up(self) -> None:
        began = time.monotonic()
        self._require_ports()
        announce.forget()
        await self._start_stores()
        env = self._control_plane_env()
        await self.supervisor.run(Program(name="migrate", argv=_argv("migrate"), env=env))
        async with httpx.AsyncClient(base_url=self._control_plane_url, timeout=10) as api:
            upstreams = await self._upstreams(api)
            await self.supervisor.start(_served("control-plane", self._control_plane_url, env, api))
            organization = await self._bootstrap(api, upstreams)
            await self._let_sidecars_in()
            sidecars = self._sidecars(organization, api)
            await self.supervisor.start(self._worker(env, api), *sidecars)
        self._announce(organization, upstreams, time.monotonic() - began)

    async def take_down(self) -> None:
        await self.supervisor.stop()
        announce.withdraw()

    # --- steps ---------------------------------------------------------------------------

    def _require_ports(self) -> None:
        ports.require(self._options.control_plane_port, "--control-plane-port")
        for port in self._options.sidecar_ports:
            ports.require(port, "--sidecar-port")

    async def _start_stores(self) -> None:
        if self._options.external:
            self._place = _address(self._options.external.database_url)
            self._database_url = self._options.external.database_url
            self._sidecar_database_url = self._options.external.sidecar_database_url
            self._redis_url = self._options.external.redis_url
            await external.require(self._database_url, self._redis_url)
            return
        self._place = "embedded"
        postgres, valkey = self._embedded()
        self._postgres = postgres
        self._database_url, self._redis_url = postgres.url, valkey.url
        await self.supervisor.start(postgres.program(), valkey.program())

    async def _let_sidecars_in(self) -> None:
        """Embedded, sidecars have a role of their own; elsewhere, one may be named for them."""
        if self._postgres is not None:
            password = self._data.secrets.sidecar_password
            self._sidecar_database_url = await self._postgres.sidecar_url(password)

    def _embedded(self) -> tuple[Postgres, Valkey]:
        secrets, path = self._data.secrets, self._data.path
        port = ports.choose(secrets.ports, "postgres")
        postgres = Postgres(path / "postgres", port, secrets.postgres_password)
        port = ports.choose(secrets.ports, "valkey")
        valkey = Valkey(path / "valkey", port, secrets.redis_password)
        self._data.save()
        postgres.initialize()
        valkey.initialize()
        return postgres, valkey

    async def _upstreams(self, api: httpx.AsyncClient) -> tuple[Upstream, ...]:
        """Those asked for; the simulated provider, started, when there are none."""
        if self._options.upstreams:
            return self._options.upstreams
        port = ports.choose(self._data.secrets.ports, "simulated-provider")
        self._data.save()
        program = Program(
            name="simulated-provider",
            argv=_argv("simulate-provider", "--port", str(port)),
            env=_environment(),
            ready=_answers(api, f"{_url(port)}/simulator/requests"),
            grace_s=2.0,
        )
        await self.supervisor.start(program)
        return simulated(_url(port))

    async def _bootstrap(
        self, api: httpx.AsyncClient, upstreams: tuple[Upstream, ...]
    ) -> Organization:
        steps = Bootstrap(api, self._data, place=self._place, token=self._admin_token)
        return await steps.run(upstreams)

    def _announce(
        self, organization: Organization, upstreams: tuple[Upstream, ...], seconds: float
    ) -> None:
        self._running = announce.Running(
            sidecar_url=self._sidecar_urls[0],
            sidecar_urls=self._sidecar_urls,
            control_plane_url=self._control_plane_url,
            worker_url=self._worker_url,
            api_key=organization.api_key or "",
            admin_token=organization.admin_token,
            org_id=organization.org_id,
            budget_id=organization.budget_id or "",
            database_url=self._database_url,
            redis_url=self._redis_url,
            data_dir=str(self._options.data_dir.resolve()),
            pids={},
        )
        self._changed()
        provider = ", ".join(f"{each.provider} at {each.base_url}" for each in upstreams)
        if not self._options.upstreams:
            provider = (
                "all of them simulated (set OPENAI_API_KEY, or another provider's, for a real one)"
            )
        welcome = announce.welcome(self._running, provider=provider, seconds=seconds)
        announce.say(welcome)

    def _changed(self) -> None:
        """A pid is another: say so in `up.json`, once there is one."""
        if self._running is not None:
            self._running.pids = {**self.supervisor.pids(), "up": os.getpid()}
            announce.publish(self._running)

    # --- what the children are told ------------------------------------------------------

    def _control_plane_env(self) -> dict[str, str]:
        return _environment(
            SPENDRA_DATABASE_URL=self._database_url,
            SPENDRA_REDIS_URL=self._redis_url,
            SPENDRA_ADMIN_TOKEN=self._admin_token,
            SPENDRA_MASTER_KEY=self._master_key,
            SPENDRA_CONTROL_PLANE_HOST=ports.HOST,
            SPENDRA_CONTROL_PLANE_PORT=str(self._options.control_plane_port),
        )

    def _worker(self, env: dict[str, str], api: httpx.AsyncClient) -> Program:
        port = ports.choose(self._data.secrets.ports, "worker")
        self._data.save()
        self._worker_url = _url(port)
        told = {"SPENDRA_WORKER_HOST": ports.HOST, "SPENDRA_WORKER_PORT": str(port)}
        ready = _answers(api, f"{self._worker_url}/healthz")
        return Program(name="worker", argv=_argv("worker"), env=env | told, ready=ready)

    def _sidecars(self, organization: Organization, api: httpx.AsyncClient) -> list[Program]:
        return [
            _served(
                "sidecar",
                url,
                self._sidecar_env(organization, number, self._options.sidecar_ports[number - 1]),
                api,
                number=number,
            )
            for number, url in enumerate(self._sidecar_urls, start=1)
        ]

    def _sidecar_env(self, organization: Organization, number: int, port: int) -> dict[str, str]:
        state = self._data.path / f"sidecar-{number}"
        state.mkdir(exist_ok=True, mode=0o700)
        return _environment(
            SPENDRA_DATABASE_URL=self._sidecar_database_url,
            SPENDRA_REDIS_URL=self._redis_url,
            SPENDRA_CONTROL_PLANE_URL=self._control_plane_url,
            SPENDRA_SIDECAR_TOKEN=organization.sidecar_token,
            SPENDRA_SNAPSHOT_PUBLIC_KEY=organization.snapshot_public_key,
            SPENDRA_SIDECAR_ID=f"sidecar-{number}",
            SPENDRA_SIDECAR_HOST=ports.HOST,
            SPENDRA_SIDECAR_PORT=str(port),
            SPENDRA_STATE_DIR=str(state),
        )


def _url(port: int) -> str:
    return f"http://{ports.HOST}:{port}"


def _address(database_url: str) -> str:
    parts = urlsplit(database_url)
    return parts.netloc.rpartition("@")[2] + parts.path


def _environment(**told: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _SECRET_VARIABLES}
    return kept | told


def _argv(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "spendra.command", *words)


def _served(
    name: str, url: str, env: dict[str, str], api: httpx.AsyncClient, *, number: int = 1
) -> Program:
    """A command that is ready when its `/readyz` answers 200."""
    numbered = name if number == 1 else f"{name}-{number}"
    ready = _answers(api, f"{url}/readyz")
    return Program(name=numbered, argv=_argv(name), env=env, ready=ready, grace_s=_DRAIN_S)


def _answers(api: httpx.AsyncClient, url: str) -> Callable[[], Awaitable[bool]]:
    async def answers() -> bool:
        try:
            return (await api.get(url, timeout=2)).is_success
        except httpx.HTTPError:
            return False

    return answers
