"""The product that is put to the proof: started in a directory of its own, gone afterwards."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, Self

import httpx
import msgspec

from spendra.arguments import EX_UNAVAILABLE, EX_USAGE, CommandError
from spendra.command import ports
from spendra.command.announce import Running
from spendra.command.data_dir import master_key_in
from spendra.command.prove.plan import VICTIMS, Plan

_STARTED_WITHIN_S: Final = 120.0
_SETTINGS: Final = {"SPENDRA_LEASE_S": "3", "SPENDRA_SHUTDOWN_GRACE_S": "5"}
"""Short, so that what a killed sidecar held is lost while we watch."""
_CREDENTIALS: Final = ("OPENAI_API_KEY", "SPENDRA_ADMIN_TOKEN", "SPENDRA_MASTER_KEY")


class Product:
    """`running` is what its `up.json` says; `victims`, the pids that may be killed."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stores = _read(plan.up_file) if plan.up_file and plan.up_file.exists() else None
        self._directory = Path(tempfile.mkdtemp(prefix="spendra-prove-"))
        self._children: list[subprocess.Popen[bytes]] = []
        self.provider_url = f"http://{ports.HOST}:{_free_port()}"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self._children):
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(60)
            child.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def running(self) -> Running:
        """As of now: a process that was restarted has another pid."""
        return _read(self._directory / ".spendra" / "up.json")

    def kill(self, victim: str) -> int:
        """As kill -9: one process that is ours, or a store of the `spendra up` that was found."""
        pid = self._plan.random.choice(self._pids(victim))
        os.kill(pid, signal.SIGKILL)
        return pid

    def is_back(self, victim: str, killed: int) -> bool:
        pids = self._pids(victim)
        return killed not in pids and bool(pids)

    def _pids(self, victim: str) -> list[int]:
        name = VICTIMS[victim]
        pids = dict(self.running.pids)
        if self._stores is not None and self._plan.up_file is not None:
            theirs = _read(self._plan.up_file).pids
            pids |= {each: theirs[each] for each in ("postgres", "valkey") if each in theirs}
        found = [pid for each, pid in pids.items() if each == name or each.startswith(f"{name}-")]
        if not found:
            raise CommandError(EX_UNAVAILABLE, f"there is no {victim} here that may be killed.")
        return found

    def _check_victims(self) -> None:
        """Before anything starts: of what was found only embedded stores may be killed."""
        if self._stores is None:
            return
        for victim in {"redis", "postgres"} & set(self._plan.victims):
            if VICTIMS[victim] not in self._stores.pids:
                sentence = (
                    f"the {victim} of {self._plan.up_file} is not embedded, so it is not killed."
                )
                raise CommandError(EX_USAGE, sentence)

    def _start(self) -> None:
        self._check_victims()
        port = self.provider_url.rpartition(":")[2]
        self._spawn("simulate-provider", "--port", port)
        words = ["--sidecars", str(self._plan.sidecars), "--upstream"]
        words += [f"openai={self.provider_url}", "--sidecar-port", str(_sidecar_port(self._plan))]
        self._spawn("up", *words, "--control-plane-port", str(_free_port()))
        deadline = time.monotonic() + _STARTED_WITHIN_S
        while not (self._directory / ".spendra" / "up.json").exists() or not self._answers():
            if self._children[-1].poll() is not None or time.monotonic() > deadline:
                said = (self._directory / "out").read_text(errors="replace")[-2000:]
                raise CommandError(EX_UNAVAILABLE, f"the product did not start:\n{said}")
            time.sleep(0.1)

    def _spawn(self, *words: str) -> None:
        env = {k: v for k, v in os.environ.items() if k not in _CREDENTIALS} | _SETTINGS
        if self._stores is not None:
            env["SPENDRA_DATABASE_URL"] = self._stores.database_url
            env["SPENDRA_REDIS_URL"] = self._stores.redis_url
            env["SPENDRA_MASTER_KEY"] = self._master_key(self._stores)
        with (self._directory / "out").open("ab") as output:
            child = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "spendra.command", *words],
                cwd=self._directory, env=env, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._children.append(child)

    @staticmethod
    def _master_key(running: Running) -> str:
        """The one that sealed what is in their database."""
        given = os.environ.get("SPENDRA_MASTER_KEY")
        return given or master_key_in(Path(running.data_dir))

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.provider_url}/simulator/requests", timeout=2).is_success
        except httpx.HTTPError:
            return False


def _read(path: Path) -> Running:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError) as error:
        sentence = f"{path} cannot be read: {error}; is `spendra up` running?"
        raise CommandError(EX_UNAVAILABLE, sentence) from error


def _free_port() -> int:
    return ports.choose({}, "any")


def _sidecar_port(plan: Plan) -> int:
    """A port that is free, as are those that further sidecars listen on."""
    while True:
        first = _free_port()
        further = range(first + 10, first + 10 + plan.sidecars - 1)
        if all(each <= 65535 and ports.is_free(each) for each in further):  # noqa: PLR2004
            return first
