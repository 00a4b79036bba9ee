"""Portkey's open gateway, in Node."""

from pathlib import Path

from benches import machine
from benches.gateway import Ports, Running, spawn, wait_for_port
from benches.peers import installing

VERSION = "1.15.2"
SWITCHED_ON = "nothing: provider and address named in headers"

_SERVER = "node_modules/@portkey-ai/gateway/build/start-server.js"


def install(place: Path) -> None:
    if (place / _SERVER).exists():
        return
    place.mkdir(parents=True, exist_ok=True)
    argv = ["npm", "install", "--no-audit", "--no-fund", f"@portkey-ai/gateway@{VERSION}"]
    installing.run(argv, cwd=place)


def start(place: Path, ports: Ports) -> Running:
    log = place / "portkey.log"
    argv = ["node", str(place / _SERVER), "--headless", f"--port={ports.gateway}"]
    process = spawn(argv, log, cpus=machine.cores().gateway, env={"NODE_ENV": "production"})
    wait_for_port(ports.gateway, process, log, seconds=30)
    headers = {
        "authorization": "Bearer unset",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"http://127.0.0.1:{ports.upstream}/v1",
    }
    watched = {"portkey": process.pid}
    return Running("portkey", ports.gateway, SWITCHED_ON, watched, headers, process)
