"""Postgres or Redis goes away between two steps."""

import asyncio
import socket

import pytest

from spendra_sidecar.ledger.words import Held, LedgerUnavailableError
from tests.ledger.conftest import Desk, account, posted, reservation


class Gate:
    """A TCP relay to a server that can be shut, as a cable is pulled."""

    def __init__(self, url: str) -> None:
        address, self._rest = url.rpartition("@")[2].split("/", 1)
        self._host, port = address.split(":")
        self._port = int(port)
        self._head = url.rpartition("@")[0]
        self._links: set[asyncio.StreamWriter] = set()
        self.is_open = True

    async def open(self) -> str:
        self._server = await asyncio.start_server(self._link, "127.0.0.1", 0, family=socket.AF_INET)
        port = self._server.sockets[0].getsockname()[1]
        return f"{self._head}@127.0.0.1:{port}/{self._rest}"

    def shut(self) -> None:
        self.is_open = False
        for link in self._links:
            link.transport.abort()

    async def close(self) -> None:
        self.shut()
        self._server.close()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.is_open:
            writer.transport.abort()
            return
        there_reader, there_writer = await asyncio.open_connection(self._host, self._port)
        self._links |= {writer, there_writer}
        pumps = _pump(reader, there_writer), _pump(there_reader, writer)
        await asyncio.gather(*pumps, return_exceptions=True)
        self._links -= {writer, there_writer}
        writer.close()
        there_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def test_a_settlement_waits_in_the_journal_and_lands_once(desk: Desk) -> None:
    gate, tight = Gate(desk.database_url), account("tight", 1000)
    ledger = desk.sidecar(database_url=await gate.open())
    held = reservation(400, tight)
    assert isinstance(await ledger.reserve(held), Held)
    gate.shut()
    ledger.settle(held, posted(100))
    await ledger.drain()
    assert ledger.journaled == 1
    assert await desk.totals(tight) == (0, 400)
    gate.is_open = True
    await ledger.drain()
    assert ledger.journaled == 0
    assert await desk.totals(tight) == (100, 0)
    assert await ledger.reserve(reservation(900, tight)) == Held((1000,))
    await gate.close()


async def test_no_reservation_without_postgres_and_none_left_behind(desk: Desk) -> None:
    gate, tight = Gate(desk.database_url), account("tight", 1000)
    ledger = desk.sidecar(database_url=await gate.open())
    first = reservation(100, tight)
    await ledger.reserve(first)
    gate.shut()
    with pytest.raises(LedgerUnavailableError):
        await ledger.reserve(reservation(500, tight))
    gate.is_open = True
    await ledger.drain()
    assert await desk.totals(tight) == (0, 100)
    assert await ledger.reserve(reservation(900, tight)) == Held((1000,))
    await gate.close()


async def test_no_reservation_without_redis_and_none_left_behind(desk: Desk) -> None:
    gate, tight = Gate(desk.redis_url), account("tight", 1000)
    ledger = desk.sidecar(redis_url=await gate.open())
    await ledger.reserve(reservation(100, tight))
    gate.shut()
    with pytest.raises(LedgerUnavailableError):
        await ledger.reserve(reservation(500, tight))
    gate.is_open = True
    await ledger.drain()
    assert await ledger.reserve(reservation(900, tight)) == Held((1000,))
    await gate.close()


async def test_a_connection_to_redis_that_died_meanwhile_is_opened_again(desk: Desk) -> None:
    gate, wide = Gate(desk.redis_url), account("wide", 10**9)
    ledger = desk.sidecar(redis_url=await gate.open())
    await ledger.reserve(reservation(1, wide))
    gate.shut()
    gate.is_open = True
    assert await ledger.reserve(reservation(1, wide)) == Held((2,))
    await gate.close()
