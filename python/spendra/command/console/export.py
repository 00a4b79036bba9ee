"""`spendra export`: the ledger as one CSV or Parquet file, in a folder or a bucket."""

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from spendra.arguments import EX_UNAVAILABLE, EX_USAGE, CommandError, Parser
from spendra.command.announce import UP_FILE
from spendra.command.console.run import refused, where

_TIMEOUT: Final = httpx.Timeout(60.0, read=300.0)
_DESCRIPTION: Final = """\
Writes what was posted as one file, to a folder or to s3://BUCKET/PREFIX. The file is there when it
is whole. A bucket's credentials and address are AWS' own variables (AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL). Where and as whom is asked:
SPENDRA_CONTROL_PLANE_URL and SPENDRA_TOKEN, else what .spendra/up.json says.
"""


def main(argv: list[str]) -> int:
    """Exit code: 0, 1 when it was refused, 64 for a wrong line, 69 when something is away."""
    words = _parser().parse_args(argv)
    name = f"spendra-{words.columns}-{words.start}-{words.end}.{words.format}".replace(":", "")
    at = where(Path(words.up_file))
    asked = {"from": words.start, "to": words.end, "scope": words.scope}
    headers = {"authorization": f"Bearer {at.token}"}
    with (
        tempfile.TemporaryDirectory(prefix="spendra-export-") as place,
        httpx.Client(base_url=at.url, timeout=_TIMEOUT, headers=headers) as client,
    ):
        path = Path(place) / name
        try:
            with client.stream("GET", f"/v1/exports/{words.columns}.csv", params=asked) as answer:
                if not answer.is_success:
                    answer.read()
                    return refused(answer)
                _write(answer.iter_bytes(), path)
        except httpx.TransportError as error:
            msg = f"the control plane at {at.url} does not answer, or not to the end: {error}."
            raise CommandError(EX_UNAVAILABLE, msg) from None
        sys.stdout.write(f"{_put(path, words.to)}\n")
    return 0


def _parser() -> Parser:
    parser = Parser("spendra export", description=_DESCRIPTION)
    parser.add_argument("columns", choices=("finance", "focus"), help="whose columns")
    parser.add_argument("to", metavar="FOLDER", help="a folder, or s3://BUCKET/PREFIX")
    parser.add_argument("--from", dest="start", required=True, help="such as 2026-11-01")
    parser.add_argument("--to", dest="end", required=True, help="exclusive, such as 2026-12-01")
    parser.add_argument("--scope", default="", help="such as project=checkout")
    parser.add_argument("--format", choices=("csv", "parquet"), default="csv")
    parser.add_argument("--up-file", default=str(UP_FILE), metavar="FILE")
    return parser


def _write(pieces: Iterator[bytes], path: Path) -> None:
    if path.suffix == ".parquet":
        _write_parquet(_Stream(pieces), path)
        return
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)


def _write_parquet(stream: "_Stream", path: Path) -> None:
    """In groups of rows, as they come."""
    pyarrow = _pyarrow()
    from pyarrow import csv, parquet

    source = io.BufferedReader(stream, 1 << 20)
    names = source.readline().decode().strip().split(",")
    schema = pyarrow.schema([(name, _type(pyarrow, name)) for name in names])
    options = csv.ConvertOptions(column_types=schema, null_values=[""], strings_can_be_null=False)
    reading = csv.ReadOptions(column_names=names, block_size=8 << 20)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        try:
            parsing = csv.ParseOptions(newlines_in_values=True)
            for batch in csv.open_csv(source, reading, parsing, options):
                writer.write_batch(batch)
        except pyarrow.ArrowInvalid as error:
            if "Empty CSV file" not in str(error):
                raise


def _type(pyarrow: Any, name: str) -> Any:
    """By the columns' own names; everything else is text."""
    if name.endswith(("_usd", "Cost")):
        return pyarrow.decimal128(38, 9)
    if name.endswith("UnitPrice"):
        return pyarrow.decimal128(38, 18)
    if name.endswith(("_at", "PeriodStart", "PeriodEnd")):
        return pyarrow.timestamp("us", tz="UTC")
    if name.endswith(("_tokens", "Quantity")) or name == "attempt":
        return pyarrow.int64()
    return pyarrow.string()


def _put(path: Path, to: str) -> str:
    """Where it is now."""
    if urlsplit(to).scheme == "s3":
        return _put_in_bucket(path, to)
    folder = Path(to)
    if not folder.is_dir():
        msg = f"{to!r} is no folder; make it first."
        raise CommandError(EX_USAGE, msg)
    partial = folder / f".{path.name}.partial"
    shutil.copyfile(path, partial)
    return str(partial.replace(folder / path.name))


def _put_in_bucket(path: Path, to: str) -> str:
    pyarrow = _pyarrow()
    from pyarrow import fs

    parts = urlsplit(to)
    key = "/".join(part for part in (parts.netloc, parts.path.strip("/"), path.name) if part)
    endpoint = urlsplit(
        os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    )
    options = (
        {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme} if endpoint.netloc else {}
    )
    try:
        bucket = fs.S3FileSystem(region=os.environ.get("AWS_REGION") or "us-east-1", **options)
        fs.copy_files(str(path), key, fs.LocalFileSystem(), bucket)
    except (OSError, pyarrow.ArrowException) as error:
        msg = f"{to} does not take the file: {str(error).splitlines()[0]}"
        raise CommandError(EX_UNAVAILABLE, msg) from None
    return f"s3://{key}"


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
    except ModuleNotFoundError:
        msg = "Parquet and buckets need pyarrow: pip install 'spendra[export]'."
        raise CommandError(EX_UNAVAILABLE, msg) from None
    return pa


class _Stream(io.RawIOBase):
    """Bytes that come in pieces, as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        taken = self._rest[: len(buffer)]
        self._rest = self._rest[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)
