"""LiteLLM's proxy, one worker, no database."""

from pathlib import Path

from benches import machine
from benches.gateway import Ports, Running, spawn, wait_for_port
from benches.peers import installing

VERSION = "1.106.2"
SWITCHED_ON = "a master key, cost tracking in memory; no database, no budgets"

_CONFIG = """\
model_list:
- model_name: gpt-4o-mini
  litellm_params:
    model: openai/gpt-4o-mini
    api_base: http://127.0.0.1:{upstream}/v1
    api_key: unset
litellm_settings: {{telemetry: false, request_timeout: 60}}
general_settings: {{master_key: {key}}}
"""
_KEY = "sk-bench-0123456789abcdef0123456789abcdef"
_ENV = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
}


def install(place: Path) -> None:
    if not (place / "bin/litellm").exists():
        installing.from_pypi(place, f"litellm[proxy]=={VERSION}")


def start(place: Path, ports: Ports) -> Running:
    config, log = place / "config.yaml", place / "litellm.log"
    config.write_text(_CONFIG.format(upstream=ports.upstream, key=_KEY))
    argv = [str(place / "bin/litellm"), "--config", str(config), "--host", "127.0.0.1"]
    argv += ["--port", str(ports.gateway), "--num_workers", "1"]
    process = spawn(argv, log, cpus=machine.cores().gateway, env=_ENV)
    wait_for_port(ports.gateway, process, log, seconds=120)
    headers = {"authorization": f"Bearer {_KEY}"}
    watched = {"litellm": process.pid}
    return Running("litellm", ports.gateway, SWITCHED_ON, watched, headers, process)
