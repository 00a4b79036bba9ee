"""Spendra under measurement: `spendra up` with fresh stores, budgets and policies."""

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from benches import machine
from benches.gateway import Ports, Running, UnavailableError, free_port, spawn, stop

BUDGETS = 10
POLICIES = 200
SWITCHED_ON = (
    f"key, {BUDGETS} hard budgets that all apply, {POLICIES} policies of which half apply, "
    "worst-case price, atomic reservation in Valkey made durable in Postgres (fsync on), "
    "metering, settlement, double-entry ledger"
)
_LABEL = "bench"
_KEY_SCOPE = {"project": "bench", "team": "platform", "person": "ada", "agent": "writer"}
_BUDGET_SCOPES: list[dict[str, str]] = [
    {},
    *({name: value} for name, value in _KEY_SCOPE.items()),
    {"environment": "live"},
    {"provider": "openai"},
    {"model": "gpt-4o-mini"},
    {"label:feature": _LABEL},
]
"""Together with the one that `spendra up` makes, ten."""
_RULES: list[dict[str, Any]] = [
    {"models_allow": ["gpt-4*", "o*", "claude-*"]},
    {"models_deny": ["gpt-3.5-*", "*-preview-internal"]},
    {"max_request_usd": "50"},
    {"max_input_tokens": 200_000},
    {"max_output_tokens": 100_000},
    {"providers_allow": ["openai", "anthropic"]},
]
_LIMIT_USD = "5000000"


def start(place: Path, ports: Ports) -> Running:
    """The sidecar on the gateway's core; Postgres, Valkey and the control plane on the rest."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    process = spawn(_argv(ports), place / "up.log", cpus=machine.cores().rest, env=_ENV, cwd=place)
    try:
        told = _told(place, process)
        key = _govern(told)
    except BaseException:
        stop(process)
        raise
    return _running(told, key, ports, process)


_ENV = {
    "OPENAI_API_KEY": "",
    "SPENDRA_DATABASE_URL": "",
    "SPENDRA_REDIS_URL": "",
    # Where the modules were imported from, so that a child in another folder finds the same ones.
    "PYTHONPATH": ":".join(entry for entry in sys.path if entry),
}


def _argv(ports: Ports) -> list[str]:
    argv = [sys.executable, "-m", "spendra.command", "up", "--data-dir", "data"]
    argv += ["--upstream", f"openai=http://127.0.0.1:{ports.upstream}"]
    argv += ["--sidecar-port", str(ports.gateway), "--control-plane-port", str(free_port())]
    return argv


def _told(place: Path, process: Any) -> dict[str, Any]:
    """What `up.json` says, once everything answers."""
    told, until = place / ".spendra/up.json", time.monotonic() + 90
    while not told.exists():
        if process.poll() is not None or time.monotonic() > until:
            said = (place / "up.log").read_text(errors="replace").strip()
            msg = f"spendra up did not come up: {said[-400:]}"
            raise UnavailableError(msg)
        time.sleep(0.1)
    found: dict[str, Any] = json.loads(told.read_text())
    return found


def _govern(told: dict[str, Any]) -> str:
    """Makes the budgets and policies, and returns a key that they bind."""
    headers = {"authorization": f"Bearer {told['admin_token']}"}
    with httpx.Client(base_url=told["control_plane_url"], headers=headers, timeout=30) as api:
        _done(api.patch(f"/v1/budgets/{told['budget_id']}", json={"limit_usd": _LIMIT_USD}))
        for number, scope in enumerate(_BUDGET_SCOPES):
            _done(api.post("/v1/budgets", json=_budget(number, scope)))
        for number in range(POLICIES):
            _done(api.post("/v1/policies", json=_policy(number)))
        made = _done(api.post("/v1/keys", json={"name": "bench", "scope": _KEY_SCOPE}))
    key: str = made["key"]
    return key


def _budget(number: int, scope: dict[str, str]) -> dict[str, Any]:
    period = ("month", "day", "week")[number % 3]
    name = f"bench {number}"
    return {
        "name": name, "scope": scope, "period": period, "limit_usd": _LIMIT_USD, "kind": "hard",
    }  # fmt: skip


def _policy(number: int) -> dict[str, Any]:
    project = "bench" if number % 2 == 0 else f"other-{number}"
    rules = _RULES[number // 2 % len(_RULES)]
    return {"name": f"bench {number}", "scope": {"project": project}, "rules": rules}


def _done(answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        msg = f"the control plane refused {answer.request.url.path}: {answer.text[:300]}"
        raise UnavailableError(msg)
    body: dict[str, Any] = answer.json()
    return body


def _running(told: dict[str, Any], key: str, ports: Ports, process: Any) -> Running:
    pids: dict[str, int] = told["pids"]
    machine.pin(pids["sidecar"], machine.cores().gateway)
    watched = {"sidecar": pids["sidecar"], "postgres": pids["postgres"], "valkey": pids["valkey"]}
    watched |= {"control plane": pids["control-plane"], "worker": pids["worker"]}
    headers = {"authorization": f"Bearer {key}", "x-spendra-labels": f"feature={_LABEL}"}
    return Running("spendra", ports.gateway, SWITCHED_ON, watched, headers, process)
