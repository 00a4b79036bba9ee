"""The load generator and the mock upstream: examples of the Rust crate, built once."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches import machine
from benches.gateway import Running, UnavailableError, listens, spawn, stop, wait_for_port

_ROOT = Path(__file__).resolve().parent.parent
_SENTENCE = "The quarterly report shows that spending on model inference grew in every region. "
_STREAM_EVENTS = 50
_EVENT_PAUSE_MS = 2


@dataclass(frozen=True)
class Tools:
    """Where the built examples are, and a folder for bodies and logs."""

    load: Path
    mock: Path
    place: Path


def build(place: Path) -> Tools:
    """Raises UnavailableError when cargo fails."""
    argv = ["cargo", "build", "--release", "--locked", "--package", "spendra_hot"]
    argv += ["--example", "load", "--example", "mock_upstream"]
    if shutil.which("cargo") is None or _fails(argv):
        msg = f"the load generator could not be built: {' '.join(argv)}"
        raise UnavailableError(msg)
    target = Path(os.environ.get("CARGO_TARGET_DIR", _ROOT / "target")) / "release/examples"
    place.mkdir(parents=True, exist_ok=True)
    for name, streams in (("whole", False), ("stream", True)):
        (place / f"{name}.json").write_text(json.dumps(_body(streams=streams)))
    return Tools(target / "load", target / "mock_upstream", place)


def _fails(argv: list[str]) -> bool:
    return subprocess.run(argv, cwd=_ROOT, check=False).returncode != 0  # noqa: S603 - our own


def _body(*, streams: bool) -> dict[str, Any]:
    """About 4 KB of JSON, as an agent might send."""
    system = {"role": "system", "content": "You are a careful analyst."}
    user = {"role": "user", "content": _SENTENCE * 46}
    body: dict[str, Any] = {
        "model": "gpt-4o-mini", "messages": [system, user], "temperature": 0.2, "max_tokens": 256,
    }  # fmt: skip
    return body | ({"stream": True, "stream_options": {"include_usage": True}} if streams else {})


class Upstream:
    """The mock upstream on a port; it can make room for another there, and come back."""

    def __init__(self, tools: Tools, port: int) -> None:
        self._tools, self.port = tools, port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = self._tools.place / "mock.log"
        argv = [str(self._tools.mock), "--port", str(self.port)]
        self._process = spawn(argv, log, cpus=machine.cores().rest)
        wait_for_port(self.port, self._process, log, seconds=5)

    def stop(self) -> None:
        if self._process is not None:
            stop(self._process)
            self._process = None


def whole(tools: Tools, gateway: Running, *, callers: int, seconds: float) -> dict[str, Any]:
    """Whole answers from the mock upstream, in a closed loop."""
    return _run(tools, gateway, "whole", callers, seconds)


def stream(tools: Tools, gateway: Running, upstream_port: int, *, seconds: float) -> dict[str, Any]:
    """One caller's streams; the load generator is the upstream, so that both share a clock."""
    if listens(upstream_port):
        msg = f"port {upstream_port} is taken"
        raise UnavailableError(msg)
    events = ["--upstream-port", str(upstream_port), "--chunks", str(_STREAM_EVENTS)]
    events += ["--chunk-ms", str(_EVENT_PAUSE_MS)]
    return _run(tools, gateway, "stream", 1, seconds, *events)


def _run(
    tools: Tools, gateway: Running, body: str, callers: int, seconds: float, *more: str
) -> dict[str, Any]:
    argv = [str(tools.load), "--port", str(gateway.port), "--callers", str(callers)]
    argv += ["--seconds", str(seconds), "--warmup", str(seconds / 4)]
    argv += ["--body", str(tools.place / f"{body}.json"), *more]
    for name, value in gateway.headers.items():
        argv += ["--header", f"{name}: {value}"]
    rest = machine.cores().rest
    before = gateway.cpu_us()
    done = subprocess.run(  # noqa: S603 - our own
        argv,
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds * 2 + 90,
        preexec_fn=lambda: os.sched_setaffinity(0, rest),
    )
    after = gateway.cpu_us()
    seen: dict[str, Any] = json.loads(done.stdout)
    seen["cpu_us"] = {name: after[name] - before[name] for name in before}
    return seen
