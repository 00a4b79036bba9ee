"""A sidecar without a token gets its own from the control plane, and keeps it."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import httpx

from tests.servers import free_port
from tests.system.conftest import System, eventually


def begin(system: System, place: Path, secret: str, port: int) -> subprocess.Popen[bytes]:
    env = {
        **os.environ,
        "SPENDRA_ENROLMENT_TOKEN": secret,
        "SPENDRA_SIDECAR_ID": "newcomer",
        "SPENDRA_SIDECAR_PORT": str(port),
        "SPENDRA_STATE_DIR": str(place / "state"),
        "SPENDRA_CONTROL_PLANE_URL": system.up["control_plane_url"],
        "SPENDRA_DATABASE_URL": system.up["database_url"],
        "SPENDRA_REDIS_URL": system.up["redis_url"],
    }
    with (place / "log").open("ab") as log:
        command = [sys.executable, "-m", "spendra.command", "sidecar"]
        return subprocess.Popen(command, env=env, stderr=log, stdout=log)


def state(port: int) -> dict[str, bool]:
    try:
        return {"ready": httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200}
    except httpx.TransportError:
        return {"ready": False}


def hello(port: int, key: str) -> httpx.Response:
    return httpx.post(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        headers={"authorization": f"Bearer {key}"},
        json={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]},
    )


def test_it_enrols_once_and_serves_by_its_own_token(system: System, tmp_path: Path) -> None:
    secret = system.ask("POST", "/v1/sidecar-tokens", {"name": "t", "kind": "enrolment"})
    for start in (1, 2):
        port = free_port()
        process = begin(system, tmp_path, secret["token"], port)
        try:
            eventually(partial(state, port), lambda s: s["ready"])
            answer = hello(port, system.up["api_key"])
            assert answer.status_code == 200, (start, answer.text)
        finally:
            process.terminate()
            assert process.wait(30) == 0
        path = tmp_path / "state" / "identity.json"
        assert path.stat().st_mode & 0o777 == 0o600
        tokens = system.ask("GET", "/v1/sidecar-tokens?limit=1000")["items"]
        assert len([one for one in tokens if one["sidecar_id"] == "newcomer"]) == 1
    assert json.loads(path.read_text())["sidecar_id"] == "newcomer"
    log = (tmp_path / "log").read_text()
    assert log.count("enrolled as newcomer") == 1
    assert secret["token"] not in log


def test_it_serves_only_what_its_token_lets_it_hear_of(system: System, tmp_path: Path) -> None:
    inside = system.new_key({"project": "edge"})["key"]
    asked = {"name": "edge", "kind": "enrolment", "scope": {"project": "edge"}}
    secret = system.ask("POST", "/v1/sidecar-tokens", asked)["token"]
    port = free_port()
    process = begin(system, tmp_path, secret, port)
    try:
        eventually(partial(state, port), lambda s: s["ready"])
        answers = [hello(port, key) for key in (inside, system.up["api_key"])]
    finally:
        process.terminate()
        assert process.wait(30) == 0
    assert [answer.status_code for answer in answers] == [200, 401]
    assert answers[1].json()["error"]["code"] == "key_unknown"


def test_a_secret_that_is_not_taken_ends_it_with_one_sentence(
    system: System, tmp_path: Path
) -> None:
    process = begin(system, tmp_path, "spe_org_nobody_0000", free_port())
    assert process.wait(30) == 64
    assert "SPENDRA_ENROLMENT_TOKEN is not taken" in (tmp_path / "log").read_text()
