"""`spendra up`, whole: from nothing to a governed request, through crashes, to nothing left."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest

from spendra.command import ports

Up = dict[str, Any]
MESSAGE: Any = [{"role": "user", "content": "Say hello"}]

pytestmark = pytest.mark.timeout(240)


def ports_of(data: dict[str, int]) -> list[str]:
    words = ["--sidecar-port", str(ports.choose(data, "sidecar"))]
    return [*words, "--control-plane-port", str(ports.choose(data, "control-plane"))]


class System:
    """One `spendra up` in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.words = ports_of({})
        self.file = directory / ".spendra/up.json"
        self.log = directory / "up.log"

    @contextlib.contextmanager
    def up(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """Started and announced; killed at the end if a test has not ended it."""
        env = {name: value for name, value in os.environ.items() if "API_KEY" not in name}
        command = [sys.executable, "-m", "spendra.command", "up", *self.words, *words]
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self.directory, env=env, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            until(lambda: process.poll() is not None or b"Ctrl-C" in self.log.read_bytes())
            assert process.poll() is None, self.log.read_text()
            yield process
        finally:
            process.kill()
            process.wait()
            until(lambda: not self.left())

    def read(self) -> Up:
        up: Up = json.loads(self.file.read_text())
        return up

    def left(self) -> list[psutil.Process]:
        """Every process that works in the directory, or was told of it."""
        found = []
        for each in psutil.process_iter(["cwd", "cmdline", "status"]):
            told = " ".join([each.info["cwd"] or "", *(each.info["cmdline"] or [])])
            if str(self.directory) in told and each.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(each)
        return found


def until(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def client(up: Up, url: str | None = None) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url or up['sidecar_url']}/v1", api_key=up["api_key"])


def hello(up: Up, url: str | None = None) -> str:
    with client(up, url) as asking:
        answer = asking.chat.completions.create(model="gpt-4o-mini", messages=MESSAGE)
    return answer.choices[0].message.content or ""


def spend(up: Up) -> dict[str, Any]:
    answer = httpx.get(
        f"{up['control_plane_url']}/v1/budgets/{up['budget_id']}/spend",
        headers={"authorization": f"Bearer {up['admin_token']}"},
    )
    seen: dict[str, Any] = answer.raise_for_status().json()
    return seen


@pytest.fixture
def system(directory: Path) -> System:
    return System(directory)


def test_a_first_start_serves_a_governed_request_and_says_how(system: System) -> None:
    with system.up() as process:
        up = system.read()
        assert system.file.stat().st_mode & 0o777 == 0o600
        assert up["sidecar_urls"] == [up["sidecar_url"]]
        expected = {"postgres", "valkey", "control-plane", "worker", "sidecar"}
        assert set(up["pids"]) == expected | {"simulated-provider", "up"}
        assert up["pids"]["up"] == process.pid
        assert all(is_running(pid) for pid in up["pids"].values())
        assert hello(up)
        until(lambda: spend(up)["held_nanousd"] == 0)
        assert spend(up)["settled_nanousd"] > 0
        welcome = system.log.read_text()
        curl = re.search(r"^curl .*(?:\n  .*)+", welcome, re.MULTILINE)
        snippet = re.search(r"<<'PYTHON'\n(.*?)PYTHON", welcome, re.DOTALL)
        assert curl
        assert snippet
        answer = subprocess.run(["/bin/bash", "-c", curl[0]], capture_output=True, check=True)
        assert json.loads(answer.stdout)["choices"]
        said = subprocess.run([sys.executable, "-c", snippet[1]], capture_output=True, check=True)
        assert said.stdout.strip()


def test_a_second_start_finds_the_key_and_the_balance(system: System) -> None:
    with system.up() as process:
        first = system.read()
        hello(first)
        until(lambda: spend(first)["settled_nanousd"] > 0)
        spent = spend(first)["settled_nanousd"]
        process.terminate()
        assert process.wait() == 0
        assert not system.file.exists()
    with system.up():
        second = system.read()
        same = ("api_key", "admin_token", "org_id", "budget_id", "database_url", "redis_url")
        assert [second[name] for name in same] == [first[name] for name in same]
        assert spend(second)["settled_nanousd"] == spent
        assert hello(second)


def test_whatever_is_killed_comes_back_and_the_books_still_balance(system: System) -> None:
    with system.up():
        before = system.read()
        hello(before)
        for name in ("sidecar", "valkey", "postgres", "control-plane", "worker"):
            os.kill(before["pids"][name], signal.SIGKILL)
            until(lambda name=name: system.read()["pids"][name] != before["pids"][name])
        after = system.read()
        assert all(is_running(pid) for pid in after["pids"].values())

        def answered() -> str:
            with contextlib.suppress(openai.OpenAIError):
                return hello(after)
            return ""

        until(answered)
        lines = system.log.read_text()
        for name in ("sidecar", "valkey", "postgres"):
            assert f"{name} was killed by SIGKILL; started again" in lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_with_0_and_leaves_nothing(system: System, number: signal.Signals) -> None:
    with system.up() as process:
        pids = system.read()["pids"]
        process.send_signal(number)
        assert process.wait() == 0
        assert not any(is_running(pid) for pid in pids.values())
        assert not system.left()
        assert not system.file.exists()


def test_a_stop_during_the_start_leaves_nothing(system: System) -> None:
    command = [sys.executable, "-m", "spendra.command", "up", *system.words]
    with subprocess.Popen(command, cwd=system.directory) as process:
        until((system.directory / ".spendra/data/postgres/postmaster.pid").exists)
        process.terminate()
        assert process.wait() == 0
    assert not system.left()


def test_children_die_with_an_up_that_is_killed_and_the_next_start_heals(system: System) -> None:
    with system.up() as process:
        first = system.read()
        process.kill()
        until(lambda: not any(is_running(pid) for pid in first["pids"].values() if pid))
    with system.up():
        assert system.read()["api_key"] == first["api_key"]
        assert hello(system.read())


def test_several_sidecars_share_the_key_and_the_budget(system: System) -> None:
    first = ports.choose({}, "sidecar")
    with system.up("--sidecars", "2", "--sidecar-port", str(first)):
        up = system.read()
        urls = [f"http://127.0.0.1:{port}" for port in (first, first + 10)]
        assert up["sidecar_urls"] == urls
        assert {"sidecar", "sidecar-2"} <= set(up["pids"])
        for url in urls:
            assert hello(up, url)


def test_an_upstream_of_ones_own_is_asked_instead(system: System) -> None:
    port = ports.choose({}, "provider")
    words = ["simulate-provider", "--port", str(port)]
    command = [sys.executable, "-m", "spendra.command", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as provider:
        assert provider.stdout
        provider.stdout.readline()
        with system.up("--upstream", f"openai=http://127.0.0.1:{port}"):
            up = system.read()
            assert "simulated-provider" not in up["pids"]
            assert hello(up)
            seen = httpx.get(f"http://127.0.0.1:{port}/simulator/requests").json()
            assert [each["path"] for each in seen["requests"]] == ["/v1/chat/completions"]
        provider.terminate()


def test_stores_of_ones_own_are_used_and_left_alone(directory: Path) -> None:
    for name in ("lender", "borrower"):
        (directory / name).mkdir()
    stores, system = System(directory / "lender"), System(directory / "borrower")
    with stores.up():
        lent = stores.read()
        env = {
            "SPENDRA_DATABASE_URL": lent["database_url"].removesuffix("spendra") + "postgres",
            "SPENDRA_REDIS_URL": lent["redis_url"].removesuffix("0") + "1",
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, url in env.items():
                patch.setenv(name, url)
            with system.up() as process:
                up = system.read()
                assert (up["database_url"], up["redis_url"]) == tuple(env.values())
                assert not {"postgres", "valkey"} & set(up["pids"])
                assert hello(up)
                process.terminate()
                assert process.wait() == 0
        assert hello(lent)
