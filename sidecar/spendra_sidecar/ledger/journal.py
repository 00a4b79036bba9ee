"""Settlements that Postgres cannot take yet, on disk until they land."""

import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from spendra_sidecar.ledger.words import Outcome

_log = logging.getLogger(__name__)


class Row(msgspec.Struct, frozen=True):
    """One settlement: a reservation and how it ends."""

    reservation_id: UUID
    end: Outcome

    def columns(self) -> tuple[Any, ...]:
        """In the order of the ledger's settle function."""
        end, tokens = self.end, self.end.tokens
        # A provider chooses the model's name, and no text in Postgres holds a NUL.
        model = end.model.replace("\0", "")
        return (
            self.reservation_id, end.outcome, end.reason, end.cost_nanousd, model, end.status,
            end.confidence, tokens.input, tokens.cached_input, tokens.cache_write, tokens.output,
            tokens.reasoning, end.price_version,
        )  # fmt: skip


class Journal:
    """An append-only file of rows, synced before `keep` returns and emptied once all landed.

    Beside it, `<name>.refused.jsonl` holds what Postgres refuses for its content and lines that
    cannot be read: for people to look at, never removed here.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._refused = path.with_suffix(".refused.jsonl")
        self._changing = asyncio.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.pending: list[Row] = self._read()

    @property
    def refused_path(self) -> Path:
        return self._refused

    def beside(self, name: str) -> Path:
        """Another file of this sidecar's."""
        return self._path.with_name(name)

    async def keep(self, rows: Sequence[Row]) -> None:
        async with self._changing:
            self.pending.extend(rows)
            try:
                await asyncio.to_thread(append_synced, self._path, b"".join(map(_line, rows)))
            except OSError as error:
                _log.critical("%s cannot be written, kept in memory only: %s", self._path, error)

    async def landed(self, count: int) -> None:
        """The first `count` pending rows are in Postgres, or set aside."""
        async with self._changing:
            del self.pending[:count]
            if not self.pending:
                await asyncio.to_thread(self._empty)

    async def set_aside(self, row: Row) -> None:
        """Raises OSError."""
        await asyncio.to_thread(append_synced, self._refused, _line(row))

    def _empty(self) -> None:
        with self._path.open("wb") as file:
            os.fsync(file.fileno())

    def _read(self) -> list[Row]:
        """Rows of an earlier run."""
        lines = read_lines(self._path)
        return [row for line in lines if (row := self._row(line)) is not None]

    def _row(self, line: bytes) -> Row | None:
        try:
            return msgspec.json.decode(line, type=Row)
        except msgspec.DecodeError as error:
            append_synced(self._refused, line + b"\n")
            _log.critical("a journaled line cannot be read, see %s: %s", self._refused, error)
            return None


def _line(row: Row) -> bytes:
    return msgspec.json.encode(row) + b"\n"


def read_lines(path: Path) -> list[bytes]:
    """Whole lines; a last one that was cut short by a crash is taken off the file."""
    if not path.exists():
        return []
    *lines, cut = path.read_bytes().split(b"\n")
    if cut:
        os.truncate(path, path.stat().st_size - len(cut))
    return [line for line in lines if line]


def append_synced(path: Path, lines: bytes) -> None:
    """On disk when it returns. Raises OSError."""
    is_new = not path.exists()
    with path.open("ab") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        _sync_directory(path.parent)


def replace_synced(path: Path, lines: bytes) -> None:
    """The file has exactly these lines, or the old ones, whatever happens. Raises OSError."""
    beside = path.with_suffix(".new")
    with beside.open("wb") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    """A file whose name is not on disk yet is lost with its content."""
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
