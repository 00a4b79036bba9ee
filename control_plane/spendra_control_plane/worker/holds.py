"""The holds that Redis shows, compared with what Postgres knows, and brought in line with it."""

from typing import NamedTuple, TypeAlias
from uuid import UUID

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisError

from spendra.balances import TOMBSTONE_SECONDS, keys, script
from spendra.redis_urls import nodes
from spendra_control_plane.stores.redis import open_cluster

HoldError = (OSError, TimeoutError, RedisError)
"""What a call can raise when Redis is away, refuses, or lost the generation."""


Client: TypeAlias = Redis | RedisCluster
_TIMEOUT_S = 2.0


def open_client(url: str) -> Client:
    """Connects when first used."""
    if len(nodes(url)) > 1:
        return open_cluster(url, _TIMEOUT_S)
    return Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)


class Hold(NamedTuple):
    reservation_id: UUID
    amount_nanousd: int
    held_ms: int


class Holds:
    """The records of one organization under one generation."""

    def __init__(self, client: Client, org_id: str, generation: str) -> None:
        self._client = client
        self._generation = generation
        self._keys = keys(org_id, generation)

    async def older_than(self, age_ms: int) -> list[Hold]:
        """Holds taken at least so long ago, by the server's clock."""
        seconds, micros = await self._client.time()
        latest = seconds * 1000 + micros // 1000 - age_ms
        found = [_hold(*pair) async for pair in self._client.hscan_iter(self._keys.records)]
        return [hold for hold in found if hold.held_ms <= latest]

    async def post(self, reservation_id: UUID, cost_nanousd: int) -> None:
        """Finish the move of a settlement that Redis has not seen."""
        names = self._keys
        named = (names.generation, names.records, names.taken, names.settled)
        values = (str(reservation_id), str(cost_nanousd), "")
        await self._run("post", *named, names.rates, names.running, values=values)

    async def void(self, reservation_id: UUID) -> None:
        """Release a hold that never became durable and cannot any more."""
        tombstone = self._keys.tombstone_prefix + str(reservation_id)
        names = self._keys
        named = (names.generation, names.records, names.taken, tombstone)
        values = (str(reservation_id), str(TOMBSTONE_SECONDS))
        await self._run("void", *named, names.rates, names.running, values=values)

    async def let_go(self, reservation_id: UUID) -> None:
        """Free the concurrency that a lost reservation counts in; its money stays held."""
        names = self._keys
        named = (names.generation, names.records, names.running)
        await self._run("let_go", *named, values=(str(reservation_id),))

    async def withdraw(self) -> None:
        """Remove this generation's balances: whoever still uses them learns of the next one."""
        names = self._keys
        await self._client.unlink(
            names.generation, names.records, names.taken, names.settled, names.limits
        )

    async def _run(self, name: str, *key_names: str, values: tuple[str, ...]) -> None:
        sha = script(name, self._generation).sha1
        await self._client.evalsha(sha, len(key_names), *key_names, *values)


def _hold(reservation_id: bytes, record: bytes) -> Hold:
    amount, held_ms, _accounts = record.split(b":", 2)
    return Hold(UUID(reservation_id.decode()), int(amount), int(held_ms))
