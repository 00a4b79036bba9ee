"""A sidecar whose machine's clock is an hour off."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.system.conftest import System, running
from tests.system.test_bursts import burst

AN_HOUR_AHEAD = """
import time
with open("/proc/self/cmdline", "rb") as file:
    is_sidecar = b"sidecar" in file.read().split(b"\\0")
if is_sidecar:
    true_s, true_ns = time.time, time.time_ns
    time.time = lambda: true_s() + 3600
    time.time_ns = lambda: true_ns() + 3600 * 10**9
    open(f"{__file__}.used", "w").close()
"""


@pytest.fixture(scope="module")
def off(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Python loads at its start, in a directory of its own."""
    path = tmp_path_factory.mktemp("clock") / "sitecustomize.py"
    path.write_text(AN_HOUR_AHEAD)
    return path


@pytest.fixture(scope="module")
def ahead(provider: str, off: Path) -> Iterator[System]:
    with running(provider, env={"PYTHONPATH": str(off.parent)}) as found:
        yield found


def test_budgets_and_the_ledger_go_by_the_stores_clock(ahead: System, off: Path) -> None:
    scope, now = {"project": "late"}, datetime.now(UTC)
    body = {"name": "hourly", "scope": scope, "period": "hour", "limit_usd": "5", "kind": "hard"}
    budget = ahead.ask("POST", "/v1/budgets", body)
    expires_at = (now + timedelta(minutes=30)).isoformat()
    key = ahead.new_key(scope, expires_at=expires_at)["key"]
    answers = asyncio.run(burst(ahead, key, 8))
    assert [answer.status_code for answer in answers] == [200] * 8, answers[0].text
    spent = ahead.drained(budget["id"])
    items = ahead.ask("GET", "/v1/ledger?scope=project=late")["items"]
    assert len(items) == 8
    assert spent["settled_nanousd"] == sum(item["cost_nanousd"] for item in items)
    for item in items:
        reserved_at = datetime.fromisoformat(item["reserved_at"])
        assert abs(reserved_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert off.with_name("sitecustomize.py.used").exists(), "the clock was off"
