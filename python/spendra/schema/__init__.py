"""The Postgres schema that every process shares: ordered migrations, as text."""

import hashlib
from importlib.resources import files
from typing import NamedTuple


class Migration(NamedTuple):
    """`name` is the file's, without `.sql`; `sha256` (hex) is of its exact bytes."""

    name: str
    sql: str
    sha256: str


def migrations() -> list[Migration]:
    """Every migration, in the order in which they apply."""
    folder = files(__name__).joinpath("migrations")
    found = [file for file in folder.iterdir() if file.name.endswith(".sql")]
    found.sort(key=lambda file: file.name)
    return [_read(file.name, file.read_bytes()) for file in found]


def _read(file_name: str, content: bytes) -> Migration:
    digest = hashlib.sha256(content).hexdigest()
    return Migration(file_name.removesuffix(".sql"), content.decode(), digest)
