"""Children are started in stages, kept running, and stopped in reverse; nothing is left."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from spendra.arguments import CommandError
from spendra.command.processes.child import Program
from spendra.command.processes.supervisor import Supervisor, restart_delay_s

Eventually = Callable[[Callable[[], object]], Awaitable[None]]

# Says when it began and when it was asked to end.
POLITE = """
    import signal, sys, time
    def end(*_):
        print("end", {name!r}, time.monotonic_ns(), flush=True)
        sys.exit(0)
    signal.signal(signal.SIGTERM, end)
    print("begin", {name!r}, flush=True)
    open({flag!r}, "w").close()
    while True:
        time.sleep(60)
"""
DEAF = """
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open({flag!r}, "w").close()
    while True:
        time.sleep(60)
"""
WITH_A_CHILD = """
    import subprocess, sys, time
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open({flag!r}, "w") as file:
        file.write(str(child.pid))
    time.sleep(600)
"""


def script(directory: Path, name: str, text: str) -> tuple[str, ...]:
    path = directory / f"{name}.py"
    path.write_text(textwrap.dedent(text).format(name=name, flag=str(directory / f"{name}.flag")))
    return (sys.executable, str(path))


def program(directory: Path, name: str, text: str = POLITE, grace_s: float = 10.0) -> Program:
    flag = directory / f"{name}.flag"

    async def ready() -> bool:
        return flag.exists()

    return Program(name=name, argv=script(directory, name, text), ready=ready, grace_s=grace_s)


class Watched:
    """A supervisor with what it said."""

    def __init__(self, logs: Path) -> None:
        self.lines: list[str] = []
        self.changes = 0
        self.supervisor = Supervisor(logs, say=self.lines.append, changed=self._changed)

    def _changed(self) -> None:
        self.changes += 1


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


async def test_a_stage_is_ready_before_the_next_and_stops_after_it(
    tmp_path: Path, watched: Watched
) -> None:
    await watched.supervisor.start(program(tmp_path, "store"))
    assert (tmp_path / "store.flag").exists()
    await watched.supervisor.start(program(tmp_path, "first"), program(tmp_path, "second"))
    pids = watched.supervisor.pids()
    assert list(pids) == ["store", "first", "second"]
    await watched.supervisor.stop()
    ended_at = {name: int((tmp_path / f"{name}.log").read_text().split()[-1]) for name in pids}
    assert max(ended_at, key=ended_at.__getitem__) == "store"
    assert not any(psutil.pid_exists(pid) for pid in pids.values())


async def test_a_child_that_dies_is_started_again_with_one_line(
    tmp_path: Path, watched: Watched, eventually: Eventually
) -> None:
    await watched.supervisor.start(program(tmp_path, "sidecar"))
    killed = watched.supervisor.pids()["sidecar"]
    os.kill(killed, signal.SIGKILL)
    await eventually(lambda: watched.changes)
    again = watched.supervisor.pids()["sidecar"]
    expected = f"sidecar was killed by SIGKILL; started again, pid {again}."
    assert (watched.lines, again != killed) == ([expected], True)
    await watched.supervisor.stop()
    assert not psutil.pid_exists(again)


async def test_a_child_that_dies_again_is_started_again(
    tmp_path: Path, watched: Watched, eventually: Eventually
) -> None:
    argv = script(tmp_path, "broken", "raise SystemExit(3)")
    await watched.supervisor.start(Program(name="broken", argv=argv))
    await eventually(lambda: len(watched.lines) == 2)
    assert all("broken ended with exit code 3; started again" in line for line in watched.lines)
    await watched.supervisor.stop()


def test_each_death_of_a_child_waits_longer_for_its_restart_up_to_ten_seconds() -> None:
    assert [restart_delay_s(failures) for failures in range(8)] == [0, 0.5, 1, 2, 4, 8, 10, 10]


async def test_what_a_dead_child_had_started_goes_with_it(
    tmp_path: Path, watched: Watched, eventually: Eventually
) -> None:
    await watched.supervisor.start(program(tmp_path, "parent", WITH_A_CHILD))
    flag = tmp_path / "parent.flag"
    await eventually(flag.read_text)
    grandchild = int(flag.read_text())
    assert psutil.pid_exists(grandchild)
    await watched.supervisor.stop()
    await eventually(lambda: not is_running(grandchild))


async def test_a_child_that_will_not_start_is_explained_by_its_log(
    tmp_path: Path, watched: Watched
) -> None:
    argv = script(tmp_path, "broken", "print('no such setting'); raise SystemExit(64)")

    async def never() -> bool:
        return False

    with pytest.raises(CommandError) as raised:
        await watched.supervisor.start(Program(name="broken", argv=argv, ready=never))
    assert raised.value.code == 69
    assert "broken ended with exit code 64 while starting" in str(raised.value)
    assert "no such setting" in str(raised.value)
    await watched.supervisor.stop()


async def test_a_command_that_fails_is_explained_by_its_log(
    tmp_path: Path, watched: Watched
) -> None:
    await watched.supervisor.run(Program(name="fine", argv=script(tmp_path, "fine", "print(1)")))
    argv = script(tmp_path, "migrate", "raise SystemExit('relation is missing')")
    with pytest.raises(CommandError, match="relation is missing"):
        await watched.supervisor.run(Program(name="migrate", argv=argv))


async def test_a_child_that_does_not_end_in_its_grace_is_killed(
    tmp_path: Path, watched: Watched
) -> None:
    await watched.supervisor.start(program(tmp_path, "deaf", DEAF, grace_s=0.1))
    pid = watched.supervisor.pids()["deaf"]
    await watched.supervisor.stop()
    assert not psutil.pid_exists(pid)


async def test_a_hurry_does_not_wait_for_the_grace(tmp_path: Path, watched: Watched) -> None:
    await watched.supervisor.start(program(tmp_path, "deaf", DEAF, grace_s=3600))
    pid = watched.supervisor.pids()["deaf"]
    watched.supervisor.hurry.set()
    await watched.supervisor.stop()
    assert not psutil.pid_exists(pid)


async def test_a_stop_during_a_restart_leaves_nothing(tmp_path: Path, watched: Watched) -> None:
    await watched.supervisor.start(program(tmp_path, "sidecar"))
    os.kill(watched.supervisor.pids()["sidecar"], signal.SIGKILL)
    await watched.supervisor.stop()
    words = [" ".join(each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"])]
    assert not any(str(tmp_path) in each for each in words)


async def test_children_die_with_a_parent_that_is_killed(
    tmp_path: Path, eventually: Eventually
) -> None:
    argv = script(tmp_path, "child", POLITE)
    parent = f"""
        import asyncio
        from pathlib import Path
        from spendra.command.processes.child import Program
        from spendra.command.processes.supervisor import Supervisor
        async def main():
            supervisor = Supervisor(Path({str(tmp_path)!r}), say=print, changed=lambda: None)
            await supervisor.start(Program(name="child", argv={argv!r}))
            print(supervisor.pids()["child"], flush=True)
            await asyncio.sleep(600)
        asyncio.run(main())
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(parent), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    child = int(await process.stdout.readline())
    await eventually((tmp_path / "child.flag").exists)
    process.kill()
    await process.wait()
    await eventually(lambda: not is_running(child))
    assert (tmp_path / "child.log").read_text().startswith("begin child\nend child")


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
