"""Bifrost, in Go, built from its module."""

import json
import os
from pathlib import Path

from benches import machine
from benches.gateway import Ports, Running, spawn, wait_for_port
from benches.peers import installing

VERSION = "latest"
SWITCHED_ON = "nothing: one provider, its file store"

_MODULE = "github.com/maximhq/bifrost/transports/bifrost-http"


def install(place: Path) -> None:
    if (place / "bifrost-http").exists():
        return
    place.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "GOBIN": str(place.resolve())}
    installing.run(["go", "install", f"{_MODULE}@{VERSION}"], cwd=place, env=env)


def start(place: Path, ports: Ports) -> Running:
    upstream = {"base_url": f"http://127.0.0.1:{ports.upstream}"}
    key = {"name": "bench", "value": "unset", "models": ["*"], "weight": 1}
    config = {"providers": {"openai": {"keys": [key], "network_config": upstream}}}
    (place / "config.json").write_text(json.dumps(config))
    log = place / "bifrost.log"
    argv = [str(place / "bifrost-http"), "-app-dir", str(place), "-port", str(ports.gateway)]
    process = spawn(argv, log, cpus=machine.cores().gateway)
    wait_for_port(ports.gateway, process, log, seconds=30)
    watched = {"bifrost": process.pid}
    return Running("bifrost", ports.gateway, SWITCHED_ON, watched, process=process)
