"""What was let through while a store was away, on disk before it left."""

import asyncio
from pathlib import Path
from uuid import UUID

import msgspec

from spendra_sidecar.ledger.journal import Row, append_synced, read_lines, replace_synced
from spendra_sidecar.ledger.words import Reservation


class Allowance(msgspec.Struct, frozen=True, tag=True):
    """A hold of this sidecar's own on one account, to draw on while a store is away."""

    reservation_id: UUID


class Opened(msgspec.Struct, frozen=True, tag=True):
    """A reservation that exists here only, and the allowances that it draws on."""

    reservation: Reservation
    incarnation: str
    allowances: list[UUID]


class Ended(msgspec.Struct, frozen=True, tag=True):
    """How an opened reservation ended."""

    row: Row


Entry = Allowance | Opened | Ended


class OpenJournal:
    """An append-only file of entries, synced before `keep` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changing = asyncio.Lock()

    def read(self) -> list[Entry]:
        """Entries of an earlier run; raises msgspec.DecodeError for a file that is not ours."""
        lines = read_lines(self._path)
        return [msgspec.json.decode(line, type=Entry) for line in lines]

    async def keep(self, entry: Entry) -> None:
        """Raises OSError; then nothing may leave on the strength of it."""
        async with self._changing:
            await asyncio.to_thread(append_synced, self._path, _line(entry))

    async def rewrite(self, entries: list[Entry]) -> None:
        """Only what still matters."""
        async with self._changing:
            await asyncio.to_thread(replace_synced, self._path, b"".join(map(_line, entries)))


def _line(entry: Entry) -> bytes:
    return msgspec.json.encode(entry) + b"\n"
