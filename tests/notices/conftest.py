"""Organizations, workers and receivers of notices; the servers are those of the control plane."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.control_plane.conftest import (
    books,
    budget,
    control_plane,
    org,
    pool,
    postgres,
    valkey,
)
from tests.control_plane.running import ControlPlane
from tests.notices.receivers import MailServer, Receiver

__all__ = ["books", "budget", "control_plane", "org", "pool", "postgres", "valkey"]

WITHIN_S = 60
RUN = "import sys; from spendra_control_plane.worker.main import main; sys.exit(main([]))"
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def mail_server() -> Iterator[MailServer]:
    made = MailServer()
    yield made
    made.stop()


@pytest.fixture
def start_worker(control_plane: ControlPlane, mail_server: MailServer) -> Iterator[Start]:
    """Starts a worker that is quick to try again and to take over; all are stopped at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**settings: str) -> subprocess.Popen[bytes]:
        environ = {
            **control_plane.environ,
            "SPENDRA_NOTICE_RETRY_S": "1",
            "SPENDRA_JOB_LEASE_S": "3",
            "SPENDRA_SMTP_URL": mail_server.url,
            "SPENDRA_MAIL_FROM": "Spendra <spendra@example.com>",
            **settings,
        }
        process = subprocess.Popen(
            [sys.executable, "-c", RUN], env=environ, stderr=subprocess.DEVNULL
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            assert process.wait(WITHIN_S) == 0


@pytest.fixture
def worker(start_worker: Start) -> subprocess.Popen[bytes]:
    return start_worker()


def eventually(check: Callable[[], bool]) -> None:
    give_up = time.monotonic() + WITHIN_S
    while not check():
        assert time.monotonic() < give_up
        time.sleep(0.1)
