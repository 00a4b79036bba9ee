"""Redis or Valkey: the floor under policy versions, which a reservation checks before it holds."""

from importlib.resources import files
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.exceptions import RedisError

from spendra.balances import frozen_key, min_version_key
from spendra.redis_urls import nodes

TIMEOUT_S = 1.0
_RAISE = files(__package__).joinpath("raise_min_version.lua").read_text(encoding="utf-8")

FloorError = (OSError, TimeoutError, RedisError)
"""What a call can raise when Redis is away or refuses; to be used in `except`."""


class _Client(Protocol):
    def eval(self, script: str, numkeys: int, *keys_and_args: str) -> Any: ...
    def set(self, name: str, value: int) -> Any: ...
    def delete(self, name: str) -> Any: ...
    def ping(self) -> Any: ...
    def info(self) -> Any: ...
    def time(self) -> Any: ...
    async def aclose(self) -> None: ...


class Facts(NamedTuple):
    """`eviction`: its maxmemory-policy; `now_s`: Unix seconds."""

    version: str
    eviction: str
    now_s: float


class Floor:
    """The oldest snapshot version that may still decide, per organization."""

    def __init__(self, client: _Client) -> None:
        self._client = client

    async def raise_to(self, org_id: str, version: int) -> None:
        """Monotone: a lower version changes nothing. Raises one of FloorError."""
        await self._client.eval(_RAISE, 1, min_version_key(org_id), str(version))

    async def set_frozen(self, org_id: str, *, is_frozen: bool) -> None:
        """Set or remove the kill switch. Raises one of FloorError."""
        key = frozen_key(org_id)
        await (self._client.set(key, 1) if is_frozen else self._client.delete(key))

    async def ping(self) -> None:
        """Raises one of FloorError unless Redis answers."""
        await self._client.ping()

    async def facts(self) -> "Facts | None":
        """Of a single server; None: a Cluster. Raises one of FloorError."""
        if isinstance(self._client, RedisCluster):
            return None
        info, (seconds, micros) = await self._client.info(), await self._client.time()
        version = info.get("valkey_version") or info.get("redis_version", "unknown")
        eviction = str(info.get("maxmemory_policy", "unknown"))
        return Facts(str(version), eviction, seconds + micros / 1_000_000)

    async def close(self) -> None:
        await self._client.aclose()


def open_cluster(redis_url: str, timeout_s: float) -> RedisCluster:
    """Connects when first used, to whichever of the nodes named answers."""
    named = [urlsplit(url) for url in nodes(redis_url)]
    first = named[0]
    return RedisCluster(
        startup_nodes=[ClusterNode(url.hostname or "", url.port or 6379) for url in named],
        username=first.username and unquote(first.username),
        password=first.password and unquote(first.password),
        ssl=first.scheme == "rediss",
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
    )


async def open_floor(redis_url: str) -> Floor:
    """A single server or a Cluster, whichever answers. Raises one of FloorError."""
    if len(nodes(redis_url)) > 1:
        cluster = open_cluster(redis_url, TIMEOUT_S)
        await cluster.initialize()
        return Floor(cluster)
    client = Redis.from_url(redis_url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
    try:
        clustered = (await client.info("cluster")).get("cluster_enabled")
    except FloorError:
        await client.aclose()
        raise
    if not clustered:
        return Floor(client)
    await client.aclose()
    return Floor(open_cluster(redis_url, TIMEOUT_S))
