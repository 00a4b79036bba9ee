"""One Postgres, one Valkey and one control plane for the session; an organization per test."""

import base64
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import (
    Postgres,
    Server,
    free_port,
    start_postgres,
    start_valkey,
    wait_for_port,
)

BOOTSTRAP_TOKEN = "bootstrap-token-of-the-tests"
PRICES = b'{"version":"stand-in","models":[]}'
RUN = f"""
import os, sys
from spendra_control_plane.main import start
sys.exit(start(os.environ, {PRICES!r}))
"""


@dataclass
class ControlPlane:
    """A real process. `environ` are its settings, `log` what it wrote."""

    url: str
    environ: dict[str, str]
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=20)


@dataclass
class Organization:
    """A fresh organization and a client with its admin token."""

    id: str
    admin_token: str
    sidecar_token: str
    public_key: bytes
    api: httpx.Client
    url: str

    def ask(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        """The JSON answer, whose status must be this one."""
        answer = self.api.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, body: object = None, status: int = 201) -> Any:
        return self.ask("POST", path, body, status)

    def get(self, path: str, status: int = 200) -> Any:
        return self.ask("GET", path, None, status)

    def sidecar(self) -> httpx.Client:
        headers = {"authorization": f"Bearer {self.sidecar_token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=10)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = start_postgres()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey() -> Iterator[Server]:
    server = start_valkey()
    yield server
    server.stop()


def settings(database_url: str, redis_url: str) -> dict[str, str]:
    return {
        **os.environ,
        "SPENDRA_DATABASE_URL": database_url,
        "SPENDRA_REDIS_URL": redis_url,
        "SPENDRA_ADMIN_TOKEN": BOOTSTRAP_TOKEN,
        "SPENDRA_MASTER_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "SPENDRA_CONTROL_PLANE_PORT": str(free_port()),
    }


def migrate(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """`spendra migrate` in a process of its own."""
    code = "import sys; from spendra_control_plane.migrate import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def start_control_plane(environ: dict[str, str], log: Path) -> ControlPlane:
    port = int(environ["SPENDRA_CONTROL_PLANE_PORT"])
    with log.open("ab") as sink:
        process = subprocess.Popen([sys.executable, "-c", RUN], env=environ, stderr=sink, stdout=sink)
    wait_for_port(port)
    return ControlPlane(f"http://127.0.0.1:{port}", environ, process, log)


@pytest.fixture(scope="session")
def control_plane(
    postgres: Postgres, valkey: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    environ = settings(postgres.create_database("control_plane"), valkey.url)
    assert migrate(environ).returncode == 0
    plane = start_control_plane(environ, tmp_path_factory.mktemp("control_plane") / "log")
    yield plane
    plane.stop()


def found_organization(plane: ControlPlane, name: str) -> Organization:
    answer = httpx.post(
        f"{plane.url}/v1/organizations",
        json={"name": name},
        headers={"authorization": f"Bearer {BOOTSTRAP_TOKEN}"},
    )
    assert answer.status_code == 201, answer.text
    made = answer.json()
    headers = {"authorization": f"Bearer {made['admin_token']}"}
    return Organization(
        id=made["id"],
        admin_token=made["admin_token"],
        sidecar_token=made["sidecar_token"],
        public_key=base64.b64decode(made["snapshot_public_key"]),
        api=httpx.Client(base_url=plane.url, headers=headers, timeout=10),
        url=plane.url,
    )


@pytest.fixture
def org(control_plane: ControlPlane) -> Iterator[Organization]:
    made = found_organization(control_plane, f"Org {secrets.token_hex(8)}")
    with made.api:
        yield made
