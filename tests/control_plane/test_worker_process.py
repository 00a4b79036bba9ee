"""The worker as a process: what it keeps up by itself, and what its settings may be."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from spendra_control_plane.worker.configuration import load
from tests.control_plane.books import Books
from tests.control_plane.running import ControlPlane, Organization
from tests.servers import free_port, wait_for_port

WITHIN_S = 60
RUN = "import sys; from spendra_control_plane.worker.main import main; sys.exit(main([]))"


def start(control_plane: ControlPlane, port: int) -> subprocess.Popen[bytes]:
    environ = {**control_plane.environ, "SPENDRA_WORKER_PORT": str(port)}
    command = [sys.executable, "-c", RUN]
    return subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)


@pytest.fixture
def workers(control_plane: ControlPlane) -> Iterator[list[int]]:
    """The ports of two workers on one database."""
    ports = [free_port(), free_port()]
    processes = [start(control_plane, port) for port in ports]
    for port in ports:
        wait_for_port(port)
    yield ports
    for process in processes:
        process.terminate()
        assert process.wait(WITHIN_S) == 0


def eventually(check: Callable[[], bool]) -> None:
    give_up = time.monotonic() + WITHIN_S
    while not check():
        assert time.monotonic() < give_up
        time.sleep(0.1)


def sample(port: int, name: str) -> float:
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else -1


async def test_two_workers_seal_and_watch_the_books(
    org: Organization, books: Books, budget: str, workers: list[int]
) -> None:
    await books.spend(1_000, await books.open_account(budget))
    await books.reserve(500, await books.open_account(budget))
    lost = f'spendra_lost_nanousd{{org_id="{org.id}"}}'
    drift = f'spendra_drift_nanousd{{kind="redis_below_postgres",org_id="{org.id}"}}'
    for port in workers:
        eventually(lambda: sample(port, lost) == 500)  # noqa: B023 - called at once
        eventually(lambda: sample(port, drift) == 0)  # noqa: B023
        assert sample(port, "spendra_seal_lag_seconds") < WITHIN_S
    chains = await books.connection.fetch(
        "SELECT chain, sum(rows) AS rows FROM spendra.seals WHERE org_id = $1 GROUP BY chain",
        org.id,
    )
    assert {row["chain"]: row["rows"] for row in chains} == {
        "spend_events": 1,
        "ledger_entries": 8,
        "audit": 4,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SPENDRA_LOST_AFTER_S", "soon"),
        ("SPENDRA_AUDIT_EVERY_S", "-1"),
        ("SPENDRA_WORKER_PORT", "x"),
        ("SPENDRA_REDIS_URL", ""),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    right = {"SPENDRA_DATABASE_URL": "postgresql://x", "SPENDRA_REDIS_URL": "redis://x"}
    assert load(right).lost_after_s == 3600
    with pytest.raises(ValueError, match=name):
        load({**right, name: value})


def test_a_taken_port_is_an_end_with_a_sentence(
    control_plane: ControlPlane, workers: list[int]
) -> None:
    environ = {**control_plane.environ, "SPENDRA_WORKER_PORT": str(workers[0])}
    ended = subprocess.run(
        [sys.executable, "-c", RUN], env={**os.environ, **environ}, capture_output=True, text=True,
        check=False, timeout=WITHIN_S,
    )  # fmt: skip
    assert (ended.returncode, str(workers[0]) in ended.stderr) == (69, True)
