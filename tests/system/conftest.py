"""The whole product, started by `spendra up`, in front of the simulated provider."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from openai import OpenAI

from spendra.providers import PROVIDERS
from tests.answers import open_client
from tests.servers import free_port

CORPUS = (
    Path(os.environ.get("SPENDRA_WIRE", Path(__file__).parents[3] / "shared" / "wire")) / "corpus"
)
STARTED_WITHIN_S = 60
PLACES = {"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "global"}
ENDED = {"posted", "voided"}


@dataclass
class System:
    """A running product. `up` is what `.spendra/up.json` says."""

    process: subprocess.Popen[bytes]
    directory: Path
    up: dict[str, Any]
    admin: httpx.Client
    provider_url: str
    clients: list[OpenAI] = field(default_factory=list)

    def openai(self, key: str | None = None, *, sidecar: int = 0, **options: Any) -> OpenAI:
        """The official SDK; only base URL and key are ours."""
        base_url = f"{self.up['sidecar_urls'][sidecar]}/v1"
        client = OpenAI(base_url=base_url, api_key=key or self.up["api_key"], **options)
        self.clients.append(client)
        return client

    def new_key(self, scope: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        return self.ask("POST", "/v1/keys", {"name": "test", "scope": scope or {}, **more})

    def new_budget(self, scope: dict[str, str], limit_usd: str, **more: Any) -> dict[str, Any]:
        budget = {"name": f"of {scope}", "scope": scope, "period": "month", "kind": "hard"}
        return self.ask("POST", "/v1/budgets", {**budget, "limit_usd": limit_usd, **more})

    def spend(self, budget_id: str) -> dict[str, Any]:
        return self.ask("GET", f"/v1/budgets/{budget_id}/spend")

    def decision(self, decision_id: str) -> dict[str, Any]:
        return self.ask("GET", f"/v1/decisions/{decision_id}")

    def ended(self, decision_id: str) -> dict[str, Any]:
        """The decision, once its reservation has its outcome."""
        return eventually(lambda: self.decision(decision_id), lambda d: d["state"] in ENDED)

    def drained(self, budget_id: str) -> dict[str, Any]:
        """The budget's figures, once nothing is held."""
        return eventually(lambda: self.spend(budget_id), lambda s: s["held_nanousd"] == 0)

    def provider(self) -> dict[str, Any]:
        """What reached the simulated provider."""
        return httpx.get(f"{self.provider_url}/simulator/requests").raise_for_status().json()

    def metric(self, series: str) -> float:
        """A series of the first sidecar, as `/metrics` writes it; 0 before it first counts."""
        text = httpx.get(f"{self.up['sidecar_url']}/metrics").raise_for_status().text
        lines = (line.rpartition(" ") for line in text.splitlines())
        return next((float(value) for name, _, value in lines if name == series), 0.0)

    def refresh(self) -> None:
        """Read `up.json` again: pids change when a process is restarted."""
        self.up = json.loads((self.directory / ".spendra" / "up.json").read_text())

    def in_database(self, sql: str, *values: object) -> Any:
        """The first value that a statement answers with."""

        async def asked() -> Any:
            connection = await asyncpg.connect(self.up["database_url"])
            try:
                return await connection.fetchval(sql, *values)
            finally:
                await connection.close()

        return asyncio.run(asked())

    def put_route(self, name: str, route: dict[str, Any]) -> None:
        """A provider route that every sidecar knows: until then it is refused as unknown."""
        self.ask("PUT", f"/v1/providers/{name}", route)
        self.pushed()

    def pushed(self) -> None:
        """Once every sidecar has each change so far.

        What gives callers more, such as a route or a higher limit, comes with the push; what takes
        something away is in force at once.
        """
        sql = "SELECT config_version FROM spendra.organizations WHERE id = $1"
        version = self.in_database(sql, self.up["org_id"])
        for url in self.up["sidecar_urls"]:
            eventually(
                lambda url=url: httpx.get(f"{url}/readyz").json(),
                lambda ready: ready["snapshot_version"] >= version,
            )

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = self.admin.request(method, path, json=body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found


def eventually(
    look: Callable[[], dict[str, Any]],
    enough: Callable[[dict[str, Any]], bool],
    *,
    within_s: float = 15,
) -> dict[str, Any]:
    """What `look` sees as soon as it is `enough`."""
    give_up = time.monotonic() + within_s
    while not enough(found := look()):
        assert time.monotonic() < give_up, str(found)
        time.sleep(0.02)
    return found


def start(
    directory: Path, *options: str, env: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """`spendra up` in a directory of its own."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("SPENDRA_")}
    credentials = {name for row in PROVIDERS.values() for name in row.credentials}
    plain = {name: value for name, value in plain.items() if name not in credentials}
    with (directory / "up.out").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "spendra.command", "up", *options],
            cwd=directory,
            env=plain | (env or {}),
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def started(process: subprocess.Popen[bytes], directory: Path, provider_url: str) -> System:
    """Wait for `up.json`."""
    path, give_up = directory / ".spendra" / "up.json", time.monotonic() + STARTED_WITHIN_S
    while not path.exists():
        assert process.poll() is None, (directory / "up.out").read_text()
        assert time.monotonic() < give_up, (directory / "up.out").read_text()
        time.sleep(0.05)
    up = json.loads(path.read_text())
    headers = {"authorization": f"Bearer {up['admin_token']}"}
    admin = open_client(up["control_plane_url"], headers)
    return System(process, directory, up, admin, provider_url)


def stop(system: System) -> int:
    system.admin.close()
    for client in system.clients:
        client.close()
    system.process.terminate()
    return system.process.wait(60)


@pytest.fixture(scope="session")
def provider() -> Iterator[str]:
    """The simulated provider, with the recorded bodies."""
    port = free_port()
    command = [sys.executable, "-m", "spendra.command", "simulate-provider", "--port", str(port)]
    replay = ["--replay", str(CORPUS)] if CORPUS.exists() else []
    process = subprocess.Popen([*command, *replay], stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    give_up = time.monotonic() + STARTED_WITHIN_S
    while True:
        try:
            httpx.get(f"{url}/v1/models")
            break
        except httpx.TransportError:
            assert time.monotonic() < give_up
            time.sleep(0.05)
    yield url
    process.terminate()
    process.wait(20)


def _launch(directory: Path, provider: str, *options: str, env: dict[str, str] | None) -> System:
    ports = ["--sidecar-port", str(free_port()), "--control-plane-port", str(free_port())]
    # OpenAI's paths need no provider in them at the simulated one.
    named = [n for n, row in PROVIDERS.items() if n == row.name and row.credentials]
    upstreams = [f"{name}={provider}/{name}" for name in named if name != "openai"]
    words = [word for each in (f"openai={provider}", *upstreams) for word in ("--upstream", each)]
    process = start(directory, *words, *ports, *options, env=PLACES | (env or {}))
    return started(process, directory, provider)


@contextlib.contextmanager
def running(provider: str, *options: str, env: dict[str, str] | None = None) -> Iterator[System]:
    """A product in a directory of its own; it must end well."""
    with tempfile.TemporaryDirectory(prefix="spendra-system-") as directory:
        found = _launch(Path(directory), provider, *options, env=env)
        try:
            yield found
        finally:
            code = stop(found)
        assert code == 0


@pytest.fixture(scope="session")
def system(provider: str) -> Iterator[System]:
    with running(provider, "--sidecars", "2") as found:
        yield found
