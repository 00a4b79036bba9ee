"""The record as a stream of canonical rows and seals, from the live database."""

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

import msgspec

from spendra.chains import Seal
from spendra_control_plane.stores.postgres import Connection
from spendra_control_plane.stores.sql import statements

SQL = statements("chains")
STEP_BATCHES = 500
_PAGE = 1_000
_NIL = "00000000-0000-0000-0000-000000000000"
ANY = 2**31 - 1


class Line(NamedTuple):
    """`text`: the row in canonical form."""

    batch_id: int
    key: str
    text: bytes


class Account(msgspec.Struct, frozen=True):
    """What an account shows. `settled_nanousd` is without the opening; `retired_nanousd`, a part of
    it, is of events that are no longer kept."""

    account_id: str
    opening_nanousd: int
    settled_nanousd: int
    retired_nanousd: int = 0


class Open(msgspec.Struct, frozen=True):
    """An open reservation."""

    reservation_id: str
    state: str
    reserved_nanousd: int
    account_ids: list[str]


class Retired(msgspec.Struct, frozen=True):
    """Months that are no longer kept: how many rows, what events came to, entries by account."""

    kept_since: str
    events: int
    entries: int
    cost_nanousd: int
    amounts: dict[str, int]


class RetiredSeal(msgspec.Struct, frozen=True):
    """A seal some of whose rows are no longer kept. `leaves`: the leaf hashes (hex) of all of them,
    in order; empty where none is kept."""

    chain: str
    number: int
    rows: int
    leaves: str


class Source(Protocol):
    """The record of one organization in one instant. Lines come by batch, then by key."""

    org_id: str

    def lines(self, chain: str) -> AsyncIterator[Line]: ...
    def seals(self, chain: str) -> AsyncIterator[Seal]: ...
    def accounts(self) -> AsyncIterator[Account]: ...
    def open(self) -> AsyncIterator[Open]: ...
    async def retired(self) -> Retired | None: ...
    def retired_seals(self) -> AsyncIterator[RetiredSeal]: ...


class Live:
    """From a connection inside one read-only, repeatable-read transaction at UTC."""

    def __init__(self, connection: Connection, org_id: str) -> None:
        self._connection = connection
        self.org_id = org_id

    async def lines(self, chain: str) -> AsyncIterator[Line]:
        newest: int = await self._connection.fetchval(SQL["newest_batch"], self.org_id)
        for start in range(0, newest, STEP_BATCHES):
            bounds = (start, start + STEP_BATCHES, ANY)
            for row in await self._connection.fetch(SQL[chain], self.org_id, *bounds):
                yield Line(row["batch_id"], row["key"], row["line"].encode())

    async def seals(self, chain: str) -> AsyncIterator[Seal]:
        last = 0
        while rows := await self._connection.fetch(SQL["seals"], self.org_id, chain, last, _PAGE):
            for row in rows:
                yield Seal(**dict(row.items()))
            last = rows[-1]["number"]

    async def accounts(self) -> AsyncIterator[Account]:
        last = ""
        while rows := await self._connection.fetch(SQL["accounts"], self.org_id, last, _PAGE):
            for row in rows:
                yield Account(**dict(row.items()))
            last = rows[-1]["account_id"]

    async def open(self) -> AsyncIterator[Open]:
        last = _NIL
        while rows := await self._connection.fetch(SQL["open"], self.org_id, last, _PAGE):
            for row in rows:
                yield Open(**dict(row.items()))
            last = rows[-1]["reservation_id"]

    async def retired(self) -> Retired | None:
        row = await self._connection.fetchrow(SQL["retired"], self.org_id)
        return Retired(**dict(row.items())) if row else None

    async def retired_seals(self) -> AsyncIterator[RetiredSeal]:
        last: tuple[str, int] = ("", 0)
        while rows := await self._connection.fetch(SQL["retired_seals"], self.org_id, *last, _PAGE):
            for row in rows:
                yield RetiredSeal(**dict(row.items()))
            last = (rows[-1]["chain"], rows[-1]["number"])


async def head(connection: Connection, org_id: str, chain: str) -> Seal | None:
    """The newest seal of a chain."""
    row = await connection.fetchrow(SQL["head"], org_id, chain)
    return Seal(**dict(row.items())) if row else None
