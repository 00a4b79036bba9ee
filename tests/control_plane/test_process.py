"""Starting, stopping, and what a wrong setting or a missing store does."""

import base64
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from tests.control_plane.running import (
    ControlPlane,
    Organization,
    floor,
    follow,
    found_organization,
    migrate,
    serve_once,
    settings,
    start_control_plane,
    stream_envelopes,
)
from tests.servers import Postgres, Server, free_port, start_valkey


@pytest.fixture
def environ(postgres: Postgres, valkey: Server, request: pytest.FixtureRequest) -> dict[str, str]:
    made = settings(postgres.create_database(request.node.name), valkey.url)
    migrate(made)
    return made


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SPENDRA_DATABASE_URL", "", "SPENDRA_DATABASE_URL is not set."),
        ("SPENDRA_DATABASE_URL", "mysql://x", "SPENDRA_DATABASE_URL must start with postgres://"),
        ("SPENDRA_REDIS_URL", "http://x", "SPENDRA_REDIS_URL must start with redis://"),
        ("SPENDRA_ADMIN_TOKEN", "short", "SPENDRA_ADMIN_TOKEN must have at least 16 characters."),
        ("SPENDRA_MASTER_KEY", "c2hvcnQ=", "SPENDRA_MASTER_KEY must be the base64 of 32 bytes"),
        ("SPENDRA_MASTER_KEY", "!", "SPENDRA_MASTER_KEY must be the base64 of 32 bytes"),
        (
            "SPENDRA_MASTER_KEY_FILE",
            "/nowhere",
            "SPENDRA_MASTER_KEY_FILE '/nowhere' cannot be read",
        ),
        ("SPENDRA_CONTROL_PLANE_PORT", "70000", "SPENDRA_CONTROL_PLANE_PORT must be a port"),
        ("SPENDRA_CONTROL_PLANE_PORT", "http", "SPENDRA_CONTROL_PLANE_PORT must be a port"),
        ("SPENDRA_PUBLIC_URL", "spendra.example.com", "SPENDRA_PUBLIC_URL must be the address"),
        ("SPENDRA_PUBLIC_URL", "https://a.test/under", "SPENDRA_PUBLIC_URL must be the address"),
        ("SPENDRA_DNS_SERVER", "localhost", "SPENDRA_DNS_SERVER must be an IP address and a port"),
    ],
)
def test_a_wrong_setting_ends_with_64_and_one_sentence(
    name: str, value: str, sentence: str
) -> None:
    made = settings("postgresql://127.0.0.1:9/none", "redis://127.0.0.1:9")
    if name == "SPENDRA_MASTER_KEY_FILE":
        del made["SPENDRA_MASTER_KEY"]
    ended = serve_once({**made, name: value})
    assert ended.returncode == 64
    assert ended.stderr.startswith(sentence)
    assert ended.stderr.count("\n") == 1


def test_another_master_key_ends_with_64(environ: dict[str, str], tmp_path: Path) -> None:
    plane = start_control_plane(environ, tmp_path / "log")
    found_organization(plane).api.close()
    plane.stop()
    other = base64.b64encode(b"another key of thirty-two bytes!").decode()
    ended = serve_once({**environ, "SPENDRA_MASTER_KEY": other})
    assert ended.returncode == 64
    assert "SPENDRA_MASTER_KEY is not the one" in ended.stderr


def test_an_unreachable_store_ends_with_69(environ: dict[str, str]) -> None:
    for name, url in (
        ("SPENDRA_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none"),
        ("SPENDRA_REDIS_URL", "redis://127.0.0.1:9/0"),
    ):
        ended = serve_once({**environ, name: url})
        assert ended.returncode == 69
        assert f"{name} is not reachable" in ended.stderr


def test_a_schema_that_is_behind_ends_with_69(postgres: Postgres, valkey: Server) -> None:
    ended = serve_once(settings(postgres.create_database("behind"), valkey.url))
    assert ended.returncode == 69
    assert "run `spendra migrate` first" in ended.stderr


def test_a_port_in_use_ends_with_69(environ: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(environ["SPENDRA_CONTROL_PLANE_PORT"])))
        taken.listen()
        ended = serve_once(environ)
    assert ended.returncode == 69
    assert "Cannot listen on 127.0.0.1:" in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_open_streams_and_exits_0(
    environ: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    plane = start_control_plane(environ, tmp_path / "log")
    org = found_organization(plane)
    with org.api, org.as_sidecar() as client, follow(client) as stream:
        envelopes = stream_envelopes(stream)
        next(envelopes)
        plane.process.send_signal(number)
        assert list(envelopes) == []
        assert plane.process.wait(timeout=20) == 0


def test_what_was_written_is_there_after_a_kill(environ: dict[str, str], tmp_path: Path) -> None:
    plane = start_control_plane(environ, tmp_path / "log")
    org = found_organization(plane)
    with org.api:
        made = org.post("/v1/keys", {"name": "kept"})
        plane.process.kill()
        plane.process.wait(timeout=20)
        again = start_control_plane(environ, tmp_path / "log")
        assert org.get(f"/v1/keys/{made['id']}")["name"] == "kept"
        assert again.stop() == 0


def test_it_works_on_while_redis_is_away(environ: dict[str, str], tmp_path: Path) -> None:
    valkey = start_valkey()
    plane = start_control_plane({**environ, "SPENDRA_REDIS_URL": valkey.url}, tmp_path / "log")
    org = found_organization(plane)
    with org.api:
        made = org.post("/v1/keys", {"name": "one"})
        valkey.stop()
        assert httpx.get(f"{plane.url}/readyz").json()["redis"] == "down"
        revoked = org.post(f"/v1/keys/{made['id']}/revoke", status=200)
        assert revoked["state"] == "revoked"
        back = start_valkey(valkey.port)
        assert _floor_within(back, org.id, seconds=15) == org.snapshot().manifest.version
        back.stop()
    assert plane.stop() == 0
    assert plane.log.read_text().count("did not take a policy floor") == 1


def test_two_control_planes_serve_one_database(environ: dict[str, str], tmp_path: Path) -> None:
    one = start_control_plane(environ, tmp_path / "one")
    other = start_control_plane(
        {**environ, "SPENDRA_CONTROL_PLANE_PORT": str(free_port())}, tmp_path / "two"
    )
    org = found_organization(one)
    _follow_other(org, other)
    assert (one.stop(), other.stop()) == (0, 0)


def _follow_other(org: Organization, other: ControlPlane) -> None:
    headers = {"authorization": f"Bearer {org.sidecar_token}"}
    with (
        org.api,
        httpx.Client(base_url=other.url, headers=headers, timeout=10) as client,
        follow(client) as stream,
    ):
        envelopes = stream_envelopes(stream)
        first = org.open(next(envelopes), {})
        known = {digest: first.segments[name] for name, digest in first.manifest.segments.items()}
        made = org.post("/v1/keys", {"name": "elsewhere"})
        second = org.open(next(envelopes), known)
        assert [key.id for key in second.keys] == [made["id"]]


def _floor_within(valkey: Server, org_id: str, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := floor(valkey, org_id):
            return found
        time.sleep(0.05)
    return 0
