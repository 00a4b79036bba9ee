"""Keeps a set of programs running: started in stages, restarted when they die, stopped in reverse.

A child that dies is started again at once, then after 0.5, 1, 2, 4 and 8 seconds, and from then
on every 10; one that has lived for half a minute starts with a clean slate. Each restart is one
line.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from spendra.arguments import EX_UNAVAILABLE, CommandError
from spendra.command.processes.child import Child, Program, describe_end, tail

_DELAYS_S: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0)
_SETTLED_S: Final = 30.0
_READY_WITHIN_S: Final = 60.0
_LOOK_AGAIN_S: Final = 0.02


def restart_delay_s(failures: int) -> float:
    """How long a child that died waits, after so many deaths that came soon after a start."""
    return _DELAYS_S[min(failures, len(_DELAYS_S) - 1)]


class _Kept:
    """One program, kept running from its first start until it is stopped."""

    def __init__(self, program: Program, log: Path, restarted: Callable[[str], None]) -> None:
        self.program, self._log, self._restarted = program, log, restarted
        self.child: Child | None = None
        self._stopping = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Until it is ready. CommandError, with the end of its log, when it will not start."""
        for attempt in range(1, self.program.attempts + 1):
            self.child = await Child.start(self.program, self._log)
            if await self._became_ready(self.child):
                break
            if attempt == self.program.attempts:
                raise self._failed(self.child)
        self._keeping = asyncio.create_task(self._keep())

    async def _became_ready(self, child: Child) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READY_WITHIN_S):
                while child.exit_code is None:
                    if await self.program.ready():
                        return True
                    await asyncio.sleep(_LOOK_AGAIN_S)
        return False

    def _failed(self, child: Child) -> CommandError:
        code = child.exit_code
        how = f"was not ready after {_READY_WITHIN_S:.0f} s" if code is None else describe_end(code)
        sentence = f"{self.program.name} {how} while starting; the end of {self._log}:"
        return CommandError(EX_UNAVAILABLE, sentence + tail(self._log))

    async def _keep(self) -> None:
        loop, failures = asyncio.get_running_loop(), 0
        while self.child is not None:
            began = loop.time()
            code = await self._end_of(self.child)
            if code is None:
                return
            failures = 0 if loop.time() - began > _SETTLED_S else failures
            if await self._stops_within(restart_delay_s(failures)):
                return
            failures += 1
            self.child = await Child.start(self.program, self._log)
            line = f"{self.program.name} {describe_end(code)}; started again, pid {self.child.pid}."
            self._restarted(line)

    async def _end_of(self, child: Child) -> int | None:
        """Its exit code, or None when it is to be stopped first."""
        ended = asyncio.create_task(child.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not self._stopping.is_set():
            return await ended
        ended.cancel()
        return None

    async def _stops_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return self._stopping.is_set()

    async def stop(self, hurry: asyncio.Event) -> None:
        self._stopping.set()
        if self._keeping is not None:
            # Never cancelled, so that no restart is broken off between starting and knowing.
            await self._keeping
        if self.child is not None:
            await self.child.stop(hurry)


class Supervisor:
    """`say` gets one line a restart; `changed` is called when a pid has changed."""

    def __init__(
        self, logs: Path, *, say: Callable[[str], None], changed: Callable[[], None]
    ) -> None:
        self._logs, self._say, self._changed = logs, say, changed
        self._stages: list[list[_Kept]] = []
        self.hurry = asyncio.Event()

    async def start(self, *programs: Program) -> None:
        """One stage: start all at once, return when each is ready. CommandError if one fails."""
        stage = [_Kept(program, self._log(program), self._restarted) for program in programs]
        self._stages.append(stage)
        outcomes = await asyncio.gather(*(kept.start() for kept in stage), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def run(self, program: Program) -> None:
        """Run a program to its end. CommandError, with the end of its log, unless it is 0."""
        child = await Child.start(program, self._log(program))
        try:
            code = await child.wait()
        except asyncio.CancelledError:
            await child.stop(self.hurry)
            raise
        if code:
            sentence = f"{program.name} {describe_end(code)}; the end of {self._log(program)}:"
            raise CommandError(EX_UNAVAILABLE, sentence + tail(self._log(program)))

    async def stop(self) -> None:
        """Stop the last stage first, the programs of one stage together."""
        while self._stages:
            stage = self._stages.pop()
            await asyncio.gather(*(kept.stop(self.hurry) for kept in stage))

    def pids(self) -> dict[str, int]:
        kept = [kept for stage in self._stages for kept in stage]
        return {each.program.name: each.child.pid for each in kept if each.child}

    def _log(self, program: Program) -> Path:
        return self._logs / f"{program.name}.log"

    def _restarted(self, line: str) -> None:
        self._say(line)
        self._changed()
