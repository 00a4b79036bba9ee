"""One child process: what it is, starting it, stopping it."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

_LEASH: Final = str(Path(__file__).with_name("leash.py"))
_TAIL_LINES: Final = 15


async def at_once() -> bool:
    """Ready as soon as it runs."""
    return True


async def nothing() -> None:
    """Needs no preparation."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run and how to treat it.

    `argv[0]` is a path. `env` is all that the child sees. `prepare` is awaited before each start.
    `stop_signal` asks it to end and `grace_s` is how long it may take; `hurry_signal` is sent when
    it takes longer or when the person is in a hurry. `death_signal` comes from the kernel when the
    parent dies. `attempts`: how often the first start may be tried.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    user: str = ""
    directory: Path | None = None
    prepare: Callable[[], Awaitable[None]] = nothing
    ready: Callable[[], Awaitable[bool]] = at_once
    stop_signal: signal.Signals = signal.SIGTERM
    hurry_signal: signal.Signals = signal.SIGKILL
    death_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 10.0
    attempts: int = 1


class Child:
    """A running program, in a session of its own so that Ctrl-C reaches only the parent."""

    def __init__(self, program: Program, process: Process) -> None:
        self.program, self._process = program, process

    @classmethod
    async def start(cls, program: Program, log: Path) -> Self:
        """Start it, with its output appended to `log`."""
        await program.prepare()
        words = (str(program.death_signal.value), str(os.getpid()), program.user, *program.argv)
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", _LEASH, *words),
                stdin=DEVNULL,
                stdout=output,
                stderr=STDOUT,
                env=dict(program.env),
                cwd=program.directory,
                start_new_session=True,
            )
        return cls(program, process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._process.returncode

    async def wait(self) -> int:
        """Its exit code; whatever it started and left in its session is gone then too."""
        code = await self._process.wait()
        self._signal_session(signal.SIGKILL)
        return code

    async def stop(self, hurry: asyncio.Event) -> None:
        """Ask, wait for the grace or until there is a hurry, then insist."""
        self._signal(self.program.stop_signal)
        if not await self._ended_within(self.program.grace_s, hurry):
            self._signal(self.program.hurry_signal)
            if not await self._ended_within(self.program.grace_s, asyncio.Event()):
                self._signal(signal.SIGKILL)
        await self.wait()

    async def _ended_within(self, seconds: float, hurry: asyncio.Event) -> bool:
        waits = {asyncio.ensure_future(self._process.wait()), asyncio.ensure_future(hurry.wait())}
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return self.exit_code is not None

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def _signal_session(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def describe_end(code: int) -> str:
    """`was killed by SIGKILL`, `ended with exit code 1`."""
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was killed by {signal.Signals(-code).name}"


def tail(log: Path) -> str:
    """The last lines of a log, indented; how a start that failed is explained."""
    lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    return "".join(f"\n    {line}" for line in lines)
