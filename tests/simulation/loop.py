"""An event loop without a clock or sockets: time jumps, and the seed decides who runs next.

Each callback belongs to the process in whose context it was made. A paused process runs nothing,
a killed one never again; processes with work are picked at random, and within one the order is
asyncio's.
"""

import asyncio
import contextlib
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any, cast

MOST_STEPS = 200_000


class Process:
    """What a machine's scheduler knows of a process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_paused = False
        self.is_dead = False
        self.wall_offset_ms = 0
        self.ready: deque[asyncio.Handle] = deque()
        self.connections: list[Any] = []
        self.context = copy_context()
        self.context.run(_PROCESS.set, self)


class StuckError(AssertionError):
    """Nothing is left to run, or it never ends."""


_PROCESS: ContextVar[Process] = ContextVar("_PROCESS")
_OUTSIDE = Process("outside")
"""The network, the stores, and the schedule itself."""


def current_process() -> Process:
    return _PROCESS.get(_OUTSIDE)


class Loop(asyncio.AbstractEventLoop):
    """One schedule's loop. `crash` holds the first error of a callback."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._now = 1000.0
        self._timers: list[tuple[float, int, asyncio.Handle]] = []
        self._serial = itertools.count()
        self._busy: list[Process] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._is_over = False
        self.outside = Process("outside")
        self.crash: BaseException | None = None
        self.connect: Callable[..., Any] | None = None

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """To the end of `main`; what is left then never runs."""
        asyncio._set_running_loop(self)
        try:
            task = self.create_task(main, context=self.outside.context)
            for _ in range(MOST_STEPS):
                if task.done() or self.crash is not None:
                    break
                self._step()
            else:
                msg = f"no end after {MOST_STEPS} steps"
                raise StuckError(msg)
            if self.crash is not None:
                raise self.crash
            task.result()
        finally:
            self._is_over = True
            self._forget()
            asyncio._set_running_loop(None)

    def stop_at(self, error: BaseException) -> None:
        """The schedule ends here, with this."""
        self.crash = self.crash or error

    def resume(self, process: Process) -> None:
        process.is_paused = False
        if process.ready and process not in self._busy:
            self._busy.append(process)

    def _step(self) -> None:
        if not self._busy:
            self._advance()
            return
        process = self._busy[int(self._random.random() * len(self._busy))]
        if process.is_paused or process.is_dead or not process.ready:
            self._busy.remove(process)
            return
        handle = process.ready.popleft()
        if not handle._cancelled:  # type: ignore[attr-defined]
            handle._run()

    def _advance(self) -> None:
        if not self._timers:
            msg = "nothing is left to run"
            raise StuckError(msg)
        when, _, handle = heapq.heappop(self._timers)
        if not handle._cancelled:  # type: ignore[attr-defined]
            self._now = max(self._now, when)
            self._enqueue(handle)

    def _enqueue(self, handle: asyncio.Handle) -> None:
        process = handle._context.get(_PROCESS) or self.outside  # type: ignore[attr-defined]
        process.ready.append(handle)
        if process not in self._busy:
            self._busy.append(process)

    def _forget(self) -> None:
        """What is left ends where it stands: nothing that it still asks for is done."""
        for task in [each for each in self._tasks if not each.done()]:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            with contextlib.suppress(RuntimeError):
                cast("Coroutine[Any, Any, Any]", task.get_coro()).close()
        self._tasks.clear()
        self._timers.clear()

    # What asyncio asks of a loop

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self._is_over:
            self._enqueue(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if not self._is_over:
            heapq.heappush(self._timers, (when, next(self._serial), handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        if self._is_over:
            coro.close()
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        return task

    def run_in_executor(self, _: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """A thread's work, done at once some time later, unless its process dies first."""
        future = self.create_future()
        delay = self._random.random() * 0.01
        self.call_later(delay, _finish, future, func, args)
        return future

    async def create_connection(
        self, factory: Any, host: Any = None, port: Any = None, **_: Any
    ) -> Any:
        assert self.connect is not None
        return await self.connect(factory, host, port)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not self._is_over and self.crash is None:
            self.crash = cast("BaseException", error) or RuntimeError(str(context))

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return self._is_over

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass


def _finish(future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> None:
    if future.done():
        return
    try:
        future.set_result(func(*args))
    except OSError as error:
        future.set_exception(error)
