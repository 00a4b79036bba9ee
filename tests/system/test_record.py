"""The record of the whole product: sealed, verified, and nothing for the auditor to say."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import httpx
import redis.asyncio as aioredis

from spendra.auditor import Evidence, Finding, audit
from tests.system.conftest import System, eventually


def ledger(system: System, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "SPENDRA_DATABASE_URL": system.up["database_url"]}
    command = [sys.executable, "-m", "spendra.command", "ledger", *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


async def audited(system: System) -> list[Finding]:
    database = await asyncpg.connect(system.up["database_url"])
    client = aioredis.Redis.from_url(system.up["redis_url"])
    try:
        return await audit(database, client, system.up["org_id"], Evidence())
    finally:
        await client.aclose()
        await database.close()


def spend(system: System) -> None:
    messages = [{"role": "user", "content": "Say hello"}]
    raw = system.openai().chat.completions.with_raw_response
    for _ in range(3):
        answer = raw.create(model="gpt-4o-mini", messages=messages, max_tokens=20)
        system.ended(answer.headers["x-spendra-decision-id"])


def test_what_went_through_is_sealed_and_verifies(system: System, tmp_path: Path) -> None:
    spend(system)
    org = ("--org", system.up["org_id"])
    eventually(
        lambda: {"events": ledger(system, "verify", *org).stdout.partition("\n")[0]},
        lambda shown: ", 0 not sealed yet" in shown["events"],
        within_s=60,
    )
    exported = ledger(system, "export", str(tmp_path / "export"), *org)
    assert exported.returncode == 0, exported.stderr
    spend(system)
    manifest = str(tmp_path / "export" / "manifest.json")
    live = ledger(system, "verify", *org, "--noted", manifest)
    assert live.returncode == 0, live.stdout
    offline = ledger(system, "verify", "--export", str(tmp_path / "export"))
    assert (offline.returncode, "sound" in offline.stdout) == (0, True)


def test_the_auditor_has_nothing_to_say(system: System) -> None:
    spend(system)
    assert [finding for finding in asyncio.run(audited(system)) if finding.is_violation] == []


def test_the_worker_watches(system: System) -> None:
    shown = httpx.get(f"{system.up['worker_url']}/metrics").text
    assert 'spendra_drift_nanousd{kind="redis_below_postgres"' in shown
