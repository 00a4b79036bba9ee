"""An export: a directory of JSON lines that can be verified without the database.

`<chain>.jsonl` holds one canonical row to a line: its bytes without the newline are what was
hashed. `seals.jsonl`, `accounts.jsonl`, `open.jsonl` and `retired_seals.jsonl` are beside them,
and `manifest.json` says what there is. Written in constant memory.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from spendra.chains import CHAINS, Seal
from spendra_control_plane.record.rows import Account, Line, Open, Retired, RetiredSeal, Source

FORMAT = "spendra export v1"
_Form = TypeVar("_Form")
_KEYS = {
    "spend_events": "reservation_id",
    "ledger_entries": "entry_id",
    "adjustments": "adjustment_id",
    "audit": "id",
}


class Head(msgspec.Struct, frozen=True):
    """The newest seal of a chain: note it elsewhere, and the chain cannot be cut unseen."""

    number: int
    hash: str


class Manifest(msgspec.Struct, frozen=True):
    """`rows` and `heads` by chain; a chain without seals has no head. `retired`: what is no longer
    kept."""

    format: str
    org_id: str
    exported_at: str
    rows: dict[str, int]
    heads: dict[str, Head]
    retired: Retired | None = None


class ExportError(ValueError):
    """A directory that is not an export; the message is one sentence."""


async def write(source: Source, directory: Path, exported_at: str) -> Manifest:
    """Raises FileExistsError when the directory is there and not empty."""
    _make(directory)
    rows, heads = {}, {}
    with (directory / "seals.jsonl").open("wb") as seals:
        for chain in CHAINS:
            rows[chain] = await _write_lines(source, chain, directory)
            newest = await _write_seals(source, chain, seals)
            if newest:
                heads[chain] = Head(newest.number, newest.hash)
    await _write_all(source.accounts(), directory / "accounts.jsonl")
    await _write_all(source.open(), directory / "open.jsonl")
    await _write_all(source.retired_seals(), directory / "retired_seals.jsonl")
    retired = await source.retired()
    manifest = Manifest(FORMAT, source.org_id, exported_at, rows, heads, retired)
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (directory / "manifest.json").write_bytes(text + b"\n")
    return manifest


def _make(directory: Path) -> None:
    if directory.exists() and any(directory.iterdir()):
        raise FileExistsError(directory)
    directory.mkdir(parents=True, exist_ok=True)


async def _write_lines(source: Source, chain: str, directory: Path) -> int:
    count = 0
    with (directory / f"{chain}.jsonl").open("wb") as file:
        async for line in source.lines(chain):
            file.write(line.text + b"\n")
            count += 1
    return count


async def _write_seals(source: Source, chain: str, file: BinaryIO) -> Seal | None:
    newest = None
    async for newest in source.seals(chain):
        file.write(msgspec.json.encode(newest) + b"\n")
    return newest


async def _write_all(items: AsyncIterator[msgspec.Struct], path: Path) -> None:
    with path.open("wb") as file:
        async for item in items:
            file.write(msgspec.json.encode(item) + b"\n")


class Exported:
    """An export, read as it was written."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.manifest = read_manifest(directory / "manifest.json")
        self.org_id = self.manifest.org_id

    async def lines(self, chain: str) -> AsyncIterator[Line]:
        with self._open(f"{chain}.jsonl") as file:
            for number, text in enumerate(file, 1):
                yield _line(chain, number, text.removesuffix(b"\n"))

    async def seals(self, chain: str) -> AsyncIterator[Seal]:
        async for found in self._all("seals.jsonl", Seal):
            if found.chain == chain:
                yield found

    def accounts(self) -> AsyncIterator[Account]:
        return self._all("accounts.jsonl", Account)

    def open(self) -> AsyncIterator[Open]:
        return self._all("open.jsonl", Open)

    async def retired(self) -> Retired | None:
        return self.manifest.retired

    def retired_seals(self) -> AsyncIterator[RetiredSeal]:
        return self._all("retired_seals.jsonl", RetiredSeal)

    async def _all(self, name: str, kind: type[_Form]) -> AsyncIterator[_Form]:
        with self._open(name) as file:
            for number, text in enumerate(file, 1):
                yield _read(text, kind, f"{name}, line {number}")

    def _open(self, name: str) -> BinaryIO:
        try:
            return (self._directory / name).open("rb")
        except OSError as error:
            msg = f"{name} cannot be read: {error.strerror}"
            raise ExportError(msg) from None


def read_manifest(path: Path) -> Manifest:
    """Raises ExportError."""
    try:
        text = path.read_bytes()
    except OSError as error:
        msg = f"{path.name} cannot be read: {error.strerror}"
        raise ExportError(msg) from None
    manifest = _read(text, Manifest, path.name)
    if manifest.format != FORMAT:
        msg = f"{path.name} is of format {manifest.format!r}, and this version reads {FORMAT!r}"
        raise ExportError(msg)
    return manifest


def _line(chain: str, number: int, text: bytes) -> Line:
    where = f"{chain}.jsonl, line {number}"
    row = _read(text, dict, where)
    batch, key = row.get("batch_id"), row.get(_KEYS[chain])
    if not isinstance(batch, int) or key is None:
        msg = f"{where} has no batch or key"
        raise ExportError(msg)
    return Line(batch, str(key), text)


def _read(text: bytes, kind: type[_Form], where: str) -> _Form:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        msg = f"{where}: {error}"
        raise ExportError(msg) from None
