"""Commands for one organization, wherever its hash slot is: one server, or a Cluster's node.

All keys of an organization share one slot, so that its commands go to one node, which is learned
from the node's own redirections and, after a failure, from any other.
"""

import asyncio
import binascii
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from spendra.redis_urls import at, nodes
from spendra_sidecar.ledger.resp import Command, ReplyError, Resp, RespError

_SLOTS = 16_384
_PAUSE_S = 0.05
"""While a slot is between two nodes, or a Cluster without a master for it."""


class Redirection(NamedTuple):
    """`kind`: MOVED (for good), ASK (this time), or wait: TRYAGAIN, CLUSTERDOWN."""

    kind: str
    host: str
    port: int


class Routed:
    """As `Resp`, over the nodes of a Cluster."""

    def __init__(self, url: str, timeout_s: float, tag: str) -> None:
        self._timeout_s = timeout_s
        self._slot = binascii.crc_hqx(tag.encode(), 0) % _SLOTS
        self._seeds = nodes(url)
        self._opened: dict[str, Resp] = {}
        self._masters = [self._seeds[0]]
        self._owner: str | None = None
        self._is_cluster = len(self._seeds) > 1

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """One round trip to the slot's node; all of it again where the slot is elsewhere.

        So every command must be idempotent. Raises RespError.
        """
        if not self._is_cluster:
            replies = await self._node(self._seeds[0]).execute(commands)
            if _redirection(replies) is None:
                return replies
            self._is_cluster = True
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._routed(commands)
        except TimeoutError as error:
            self._forget()
            msg = "no answer in time"
            raise RespError(msg) from error
        except RespError:
            self._forget()
            raise

    async def everywhere(self, commands: Sequence[Command]) -> None:
        """The same to each other master; those that do not answer go without."""
        others = [url for url in self._masters if url != self._owner]
        calls = [self._node(url).execute(commands) for url in others]
        await asyncio.gather(*calls, return_exceptions=True)

    def close(self) -> None:
        for node in self._opened.values():
            node.close()

    async def _routed(self, commands: Sequence[Command]) -> list[Any]:
        replies: list[Any] = []
        if self._owner is None:
            await self._learn()
        target, asking = self._owner or self._seeds[0], False
        while True:
            replies = await self._ask(target, commands, asking=asking)
            found = _redirection(replies)
            if found is None:
                return replies
            target, asking = await self._follow(found, target)

    async def _ask(self, url: str, commands: Sequence[Command], *, asking: bool) -> list[Any]:
        if not asking:
            return await self._node(url).execute(commands)
        asked = [each for command in commands for each in (("ASKING",), command)]
        return (await self._node(url).execute(asked))[1::2]

    async def _follow(self, found: Redirection, asked: str) -> tuple[str, bool]:
        """Where to ask next, and whether as an exception."""
        if found.kind == "ASK":
            return at(asked, found.host, found.port), True
        if found.kind == "MOVED":
            await self._learn(at(asked, found.host, found.port))
        else:
            await asyncio.sleep(_PAUSE_S)
            await self._learn()
        return self._owner or asked, False

    async def _learn(self, known: str | None = None) -> None:
        """Ask the nodes, known ones first, who has the slot. Raises RespError if none answers."""
        why = RespError("no node of the Cluster answers")
        for url in dict.fromkeys([*([known] if known else []), *self._masters, *self._seeds]):
            try:
                [slots] = await self._node(url).execute([("CLUSTER", "SLOTS")])
            except RespError as error:
                why = error
                continue
            if isinstance(slots, ReplyError):
                # It is no Cluster, or not one yet.
                continue
            self._masters = list(dict.fromkeys(_master(url, row) for row in slots))
            mine = [_master(url, row) for row in slots if row[0] <= self._slot <= row[1]]
            self._owner = mine[0] if mine else known
            return
        raise why

    def _node(self, url: str) -> Resp:
        if url not in self._opened:
            self._opened[url] = Resp(url, self._timeout_s)
        return self._opened[url]

    def _forget(self) -> None:
        """After a failure another node may have the slot."""
        if self._owner is not None:
            # What was asked on it must not be answered to another.
            self._node(self._owner).close()
        self._owner = None


def _master(asked: str, row: list[Any]) -> str:
    """Of one row of CLUSTER SLOTS: first slot, last slot, master (host, port, ...), replicas."""
    host, port = row[2][0], row[2][1]
    if not host:
        # The node says that it does not know its own name: it is the one that was asked.
        return at(asked, urlsplit(asked).hostname or "", port)
    return at(asked, host.decode(), port)


def _redirection(replies: Sequence[Any]) -> Redirection | None:
    for reply in replies:
        if isinstance(reply, ReplyError):
            kind, *rest = str(reply).split(" ")
            if kind in {"MOVED", "ASK"}:
                host, _, port = rest[1].rpartition(":")
                return Redirection(kind, host, int(port))
            if kind in {"TRYAGAIN", "CLUSTERDOWN"}:
                return Redirection(kind, "", 0)
    return None
