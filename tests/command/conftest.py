import asyncio
import inspect
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")  # noqa: S108 (each test makes a directory of its own in it)


@pytest.fixture
def directory() -> Iterator[Path]:
    """Of our own making: pytest closes its own to other users, and root's Postgres is one."""
    path = Path(tempfile.mkdtemp(prefix="spendra-", dir=_MEMORY if _MEMORY.is_dir() else None))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Waits until a function, or what it awaits, is true; the test's timeout ends it."""

    async def wait(condition: Callable[[], object]) -> None:
        while True:
            met = condition()
            if await met if inspect.isawaitable(met) else met:
                return
            await asyncio.sleep(0.02)

    return wait
