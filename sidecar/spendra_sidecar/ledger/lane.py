"""Grouping without waiting: what arrives while a group is under way goes with the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Lane(Generic[Item, Answer]):
    """Passes items to `flush` in groups, `width` groups at a time.

    A lone item leaves at once, unless `linger_s` lets others join: for work that nobody waits
    for. `flush` answers in the order of its items. What it raises, every item of the group raises.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        most: int = 256,
        width: int = 1,
        linger_s: float = 0.0,
    ) -> None:
        self._flush = flush
        self._most = most
        self._width = width
        self._linger_s = linger_s
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._runners: set[asyncio.Task[None]] = set()
        self._running = 0
        self._is_starting = False
        self._loop = asyncio.get_running_loop()

    def submit(self, item: Item) -> asyncio.Future[Answer]:
        future = self._loop.create_future()
        self._waiting.append((item, future))
        if not self._is_starting and self._running < self._width:
            self._is_starting = True
            self._running += 1
            runner = self._loop.create_task(self._run())
            self._runners.add(runner)
            runner.add_done_callback(self._runners.discard)
        return future

    async def idle(self) -> None:
        """Until everything that was submitted has been passed."""
        while self._runners:
            await asyncio.wait(self._runners)

    async def _run(self) -> None:
        if self._linger_s:
            await asyncio.sleep(self._linger_s)
        self._is_starting = False
        while self._waiting:
            group = self._waiting[: self._most]
            del self._waiting[: self._most]
            await self._pass(group)
        # At once, not when the task is done: a waiter just answered may submit before that.
        self._running -= 1

    async def _pass(self, group: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._flush([item for item, _ in group])
        except Exception as error:  # noqa: BLE001 - handed to every waiter, not swallowed
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(group, answers, strict=True):
            if not future.done():
                future.set_result(answer)
