"""Settlements that Postgres cannot take yet, on disk until they land."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from spendra_sidecar.ledger.words import Outcome


class Row(msgspec.Struct, frozen=True):
    """One settlement: a reservation and how it ends."""

    reservation_id: UUID
    end: Outcome

    def columns(self) -> tuple[Any, ...]:
        """In the order of the ledger's settle function."""
        end, tokens = self.end, self.end.tokens
        return (
            self.reservation_id, end.outcome, end.reason, end.cost_nanousd, end.model, end.status,
            end.confidence, tokens.input, tokens.cached_input, tokens.cache_write, tokens.output,
            tokens.reasoning, end.price_version,
        )  # fmt: skip


class Journal:
    """An append-only file of rows, synced before `keep` returns and emptied once all landed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changing = asyncio.Lock()
        self.pending: list[Row] = _read(path)

    async def keep(self, rows: Sequence[Row]) -> None:
        async with self._changing:
            self.pending.extend(rows)
            await asyncio.to_thread(self._append, b"".join(map(_line, rows)))

    async def landed(self, count: int) -> None:
        """The first `count` pending rows are in Postgres."""
        async with self._changing:
            del self.pending[:count]
            if not self.pending:
                await asyncio.to_thread(self._empty)

    def _append(self, lines: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())

    def _empty(self) -> None:
        with self._path.open("wb") as file:
            os.fsync(file.fileno())


def _line(row: Row) -> bytes:
    return msgspec.json.encode(row) + b"\n"


def _read(path: Path) -> list[Row]:
    """Rows of an earlier run. A last line cut short by a crash was never acknowledged."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    return [msgspec.json.decode(line, type=Row) for line in lines[:-1] if line]
