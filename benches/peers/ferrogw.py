"""ferrogw: a gateway in Go, shipped as a wheel."""

from pathlib import Path

from benches import machine
from benches.gateway import Ports, Running, spawn, wait_for_port
from benches.peers import installing

VERSION = "1.5.10"
SWITCHED_ON = "a master key, routing to one provider; its rate limiter raised out of the way"

_CONFIG = """\
strategy: {mode: single}
targets: [{virtual_key: openai}]
"""
_KEY = "bench"


def install(place: Path) -> None:
    if not (place / "bin/ferrogw").exists():
        installing.from_pypi(place, f"ferrogw=={VERSION}")


def start(place: Path, ports: Ports) -> Running:
    config, log = place / "config.yaml", place / "ferrogw.log"
    config.write_text(_CONFIG)
    env = {
        "GATEWAY_CONFIG": str(config.resolve()),
        "OPENAI_API_KEY": "unset",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{ports.upstream}/v1",
        "MASTER_KEY": _KEY,
        "PORT": str(ports.gateway),
        "RATE_LIMIT_RPS": "1000000",
        "RATE_LIMIT_BURST": "1000000",
    }
    argv = [str(place / "bin/ferrogw"), "serve"]
    process = spawn(argv, log, cpus=machine.cores().gateway, env=env, cwd=place)
    wait_for_port(ports.gateway, process, log, seconds=20)
    headers = {"authorization": f"Bearer {_KEY}"}
    watched = {"ferrogw": process.pid}
    return Running("ferrogw", ports.gateway, SWITCHED_ON, watched, headers, process)
