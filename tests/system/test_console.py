"""The API from the command line, against a running product."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import System, eventually


def spendra(
    system: System, *words: str, stdin: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPENDRA_")}
    return subprocess.run(
        [sys.executable, "-m", "spendra.command", *words],
        check=False, capture_output=True, text=True, cwd=system.directory, env=kept | env,
        input=stdin, timeout=60,
    )  # fmt: skip


def told(system: System, *words: str, **more: Any) -> dict[str, Any]:
    done = spendra(system, *words, **more)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_key_and_its_budget_are_made_used_and_revoked(system: System) -> None:
    scope = "scope.project=console"
    budget = told(
        system, "budgets", "create", "name=console", scope, "period=day", "limit_usd=1.50",
        "kind=hard",
    )  # fmt: skip
    key = told(system, "keys", "create", "name=console", scope, "models=gpt-4o-mini*,gpt-4o")
    assert key["models"] == ["gpt-4o-mini*", "gpt-4o"]
    client = system.openai(key["key"])
    say = [{"role": "user", "content": "hi"}]
    client.chat.completions.create(model="gpt-4o-mini", messages=say, max_tokens=5)  # type: ignore[call-overload]
    spent = eventually(
        lambda: told(system, "budgets", "spend", budget["id"]), lambda s: s["settled_nanousd"] > 0
    )
    assert spent["limit_usd"] == "1.50"
    reason = ("--reason", "it leaked")
    assert told(system, "keys", "revoke", key["id"], *reason)["state"] == "revoked"
    (change,) = told(system, "api", "audit", "list", f"subject={key['id']}", "limit=1")["items"]
    assert change["reason"] == "it leaked"
    listed = told(system, "keys", "list", "limit=1", "--all")["items"]
    assert key["id"] in {one["id"] for one in listed}


def test_a_body_may_come_from_a_file(system: System, tmp_path: Path) -> None:
    policy = {"name": "small", "scope": {"project": "filed"}, "rules": {"max_output_tokens": 5}}
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(policy))
    made = told(system, "policies", "create", "--body", str(path))
    again = told(
        system, "policies", "create", "name=other", "--body", "-", stdin=json.dumps(policy)
    )
    assert (made["rules"], again["name"]) == (policy["rules"], "other")


def test_a_refusal_is_one_line_and_exit_code_1(system: System) -> None:
    done = spendra(system, "keys", "create", "naem=x")
    assert (done.returncode, done.stdout) == (1, "")
    assert "did you mean 'name'?" in done.stderr
    done = spendra(system, "keys", "list", "stat=active")
    assert (done.returncode, done.stdout) == (1, "")
    assert "did you mean 'state'?" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["keys"], "spendra keys create [name=…]"),
        (["api"], "budgets\n"),
        (["api", "prices"], "spendra api prices quote"),
    ],
)
def test_left_out_words_list_what_there_is(system: System, words: list[str], said: str) -> None:
    assert said in spendra(system, *words).stdout


def test_nobody_there_is_69(system: System, tmp_path: Path) -> None:
    away = {"SPENDRA_CONTROL_PLANE_URL": "http://127.0.0.1:9", "SPENDRA_TOKEN": "x"}
    done = spendra(system, "keys", "list", **away)
    assert (done.returncode, "does not answer" in done.stderr) == (69, True)
    done = spendra(system, "keys", "list", "--up-file", str(tmp_path / "none"))
    assert (done.returncode, "nothing runs here" in done.stderr) == (69, True)


def test_the_doctor_finds_a_running_product_well(system: System) -> None:
    report = eventually(
        lambda: system.ask("GET", "/v1/doctor"),
        lambda found: found["state"] == "well",
        within_s=30,
    )
    states = {check["name"]: check["state"] for check in report["checks"]}
    assert {"postgres", "migrations", "redis", "clock", "worker"} <= set(states)
    done = spendra(system, "doctor")
    assert done.returncode == 0, done.stdout
    assert "well     postgres    18" in done.stdout


def test_the_doctor_names_what_fails(system: System) -> None:
    admin = {"SPENDRA_TOKEN": system.up["admin_token"]}
    valkey = system.up["redis_url"]
    from redis import Redis

    with Redis.from_url(valkey) as client:
        before = client.config_get("maxmemory-policy")["maxmemory-policy"]  # type: ignore[index]
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            done = spendra(system, "doctor", **admin)
        finally:
            client.config_set("maxmemory-policy", before)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("failing  redis")
    assert "set noeviction" in done.stdout
