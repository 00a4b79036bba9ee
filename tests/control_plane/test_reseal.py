"""Another master key: everything that is sealed is sealed anew, and goes on as before."""

import base64
import secrets
from pathlib import Path

import asyncpg
import pytest

from spendra_control_plane import reseal
from tests.control_plane.running import (
    Organization,
    found_organization,
    migrate,
    settings,
    start_control_plane,
)
from tests.openid import OpenIdProvider
from tests.servers import Postgres, Server


def a_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture
def environ(
    postgres: Postgres, valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    made = settings(postgres.create_database(tmp_path.name), valkey.url)
    assert migrate(made).returncode == 0
    for name in ("SPENDRA_DATABASE_URL", "SPENDRA_MASTER_KEY"):
        monkeypatch.setenv(name, made[name])
    return made


def filled(org: Organization) -> str:
    """Something in each place that is sealed; the key's text."""
    route = {"base_url": "http://127.0.0.1:1", "credential": "sk-upstream"}
    org.ask("PUT", "/v1/providers/openai", route)
    for body in (
        {"name": "w", "kind": "webhook", "url": "https://hooks.example.com/secret-path"},
        {"name": "s", "kind": "slack", "url": "https://hooks.slack.com/services/T0/B0/x"},
    ):
        org.post("/v1/channels", body)
    provider = OpenIdProvider()
    client = {"issuer": provider.issuer, "client_id": "spendra", "client_secret": "known-to-two"}
    org.ask("PUT", "/v1/sign-in", client)
    provider.stop()
    headers = {"idempotency-key": "once"}
    made = org.api.post("/v1/keys", json={"name": "k"}, headers=headers)
    return str(made.json()["key"])


def test_everything_is_there_under_the_new_key_and_nothing_under_the_old(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    plane = start_control_plane(environ, tmp_path / "log")
    org = found_organization(plane)
    text, before = filled(org), org.snapshot()
    org.api.close()
    plane.stop()
    new = a_key()
    monkeypatch.setenv("SPENDRA_NEW_MASTER_KEY", new)
    assert reseal.main([]) == 0
    shown = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert set(shown) == set(reseal.SEALED)
    assert shown["channels.signing_sealed"] == "1"
    assert shown["provider_routes.credential_sealed"] == "1"
    assert shown["api_repeats.answer_sealed"] == "1"
    assert shown["sign_in.client_secret_sealed"] == "1"
    plane = start_control_plane({**environ, "SPENDRA_MASTER_KEY": new}, tmp_path / "log")
    again = Organization(
        org.id,
        org.admin_token,
        org.sidecar_token,
        org.public_key,
        plane.with_bootstrap(),
        plane.url,
    )
    again.api.headers["authorization"] = f"Bearer {org.admin_token}"
    after = again.snapshot()
    assert after.manifest == before.manifest
    assert after.secrets == before.secrets
    headers = {"idempotency-key": "once"}
    assert again.api.post("/v1/keys", json={"name": "k"}, headers=headers).json()["key"] == text
    again.post("/v1/keys", {"name": "another"})
    again.api.close()
    plane.stop()
    assert reseal.main([]) == 64
    assert "nothing changed" in capsys.readouterr().err


def test_a_key_that_is_missing_is_named(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert environ["SPENDRA_MASTER_KEY"]
    assert reseal.main([]) == 64
    assert "SPENDRA_NEW_MASTER_KEY is not set" in capsys.readouterr().err
    monkeypatch.setenv("SPENDRA_NEW_MASTER_KEY", "short")
    assert reseal.main([]) == 64
    assert "32 bytes" in capsys.readouterr().err


async def test_no_column_is_forgotten(environ: dict[str, str]) -> None:
    connection = await asyncpg.connect(environ["SPENDRA_DATABASE_URL"])
    rows = await connection.fetch(
        "SELECT table_name || '.' || column_name AS name FROM information_schema.columns"
        r" WHERE table_schema = 'spendra' AND data_type = 'bytea' AND column_name LIKE '%\_sealed'"
    )
    await connection.close()
    assert {row["name"] for row in rows} | {"segments.bytes"} == set(reseal.SEALED)
