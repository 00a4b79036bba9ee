"""What the worker uses of redis-py's asyncio client, over the simulated network."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from redis.exceptions import ResponseError

from tests.simulation.network import Network
from tests.simulation.redis_model import ServerError


class RedisClient:
    """Each command is a message of its own."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def time(self) -> tuple[int, int]:
        seconds, micros = await self._ask("TIME")
        return int(seconds), int(micros)

    async def hscan_iter(self, key: str) -> AsyncIterator[tuple[bytes, bytes]]:
        flat = await self._ask("HGETALL", key)
        for field, value in zip(flat[::2], flat[1::2], strict=True):
            yield field.encode(), value.encode()

    async def evalsha(self, sha: str, count: int, *values: str) -> Any:
        return await self._ask("EVALSHA", sha, str(count), *values)

    async def _ask(self, *command: str) -> Any:
        net, fate = self._network, self._network.fate()
        await asyncio.sleep(max(net.delay_s(), net.redis_back_at - net.loop.time()))
        if fate in ("swallowed", "cut_before", "cut_within", "request_late"):
            raise TimeoutError
        answer = net.redis_of(net.loop.outside).execute(list(command))
        net.changed()
        if fate in ("reply_lost", "reply_late"):
            raise TimeoutError
        if isinstance(answer, ServerError):
            raise ResponseError(str(answer))
        return answer
