"""A gateway under measurement: how it is started, called, watched and stopped."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benches import machine


class UnavailableError(Exception):
    """A gateway that cannot take part; the message says why."""


@dataclass(frozen=True)
class Ports:
    """`upstream` answers every gateway; `gateway` is the one that this gateway listens on."""

    upstream: int
    gateway: int


@dataclass
class Running:
    """What listens on `port`. `watched`: names to process ids; the first is the gateway itself."""

    name: str
    port: int
    switched_on: str
    watched: dict[str, int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    def cpu_us(self) -> dict[str, int]:
        return {name: machine.cpu_us(pid) for name, pid in self.watched.items()}

    def rss_kib(self) -> dict[str, int]:
        return {name: machine.rss_kib(pid) for name, pid in self.watched.items()}

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process)


def spawn(
    argv: Sequence[str],
    log: Path,
    *,
    cpus: frozenset[int],
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """Started in a session of its own, on these cores; its output goes to `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - gateways that these modules name
            argv,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )
    machine.pin(process.pid, cpus)
    return process


def stop(process: "subprocess.Popen[bytes]", *, patience_s: float = 20) -> None:
    """By SIGTERM; by SIGKILL to its whole session when that is not enough."""
    process.terminate()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_port(
    port: int, process: "subprocess.Popen[bytes]", log: Path, *, seconds: float
) -> None:
    """Raises UnavailableError with the end of the log when it ends or does not listen in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        if listens(port):
            return
        time.sleep(0.1)
    if process.poll() is None:
        stop(process)
    msg = f"did not start within {seconds:.0f} s: {_end_of(log)}"
    raise UnavailableError(msg)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _end_of(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " / ".join(lines[-3:])[:400] or "it said nothing"
