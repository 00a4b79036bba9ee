"""`spendra migrate`: bring the database's schema up to date, print it, or check it."""

import asyncio
import os
import sys

from spendra.arguments import Parser
from spendra.schema import Migration, migrations
from spendra_control_plane.configuration import (
    EXIT_BAD_CONFIGURATION,
    EXIT_STORE_UNAVAILABLE,
    ConfigurationError,
    database_url,
)
from spendra_control_plane.stores.postgres import Connection, StoreError, connect
from spendra_control_plane.stores.sql import statements

SQL = statements("migrate")
PARTITIONS = statements("worker")["make_partitions"]
LOCK_ID = 0x5350454E445241
"""Advisory lock (the letters SPENDRA) under which one process migrates at a time."""


class MigrationError(RuntimeError):
    """A migration that was applied differs from the file of the same name."""


async def pending(connection: Connection) -> list[Migration]:
    """What is still to be applied. Raises MigrationError for a file that was changed since."""
    applied: dict[str, str] = {}
    if await connection.fetchval(SQL["has_record"]):
        applied = {row["name"]: row["sha256"] for row in await connection.fetch(SQL["applied"])}
    return [migration for migration in migrations() if not _is_applied(migration, applied)]


async def apply(connection: Connection) -> list[str]:
    """Apply what is pending, each in a transaction of its own; the names of what was applied."""
    done = []
    while name := await _apply_next(connection):
        done.append(name)
    return done


def render(found: list[Migration]) -> str:
    """One script that does what `apply` does to an empty database."""
    parts = [_lock(), SQL["make_record"]]
    for migration in found:
        record = SQL["record"].replace("$1", f"'{migration.name}'")
        record = record.replace("$2", f"'{migration.sha256}'")
        parts += [f"-- {migration.name}", migration.sql.rstrip(), record]
    return "BEGIN;\n" + "\n\n".join(parts) + "\nCOMMIT;\n"


async def _apply_next(connection: Connection) -> str | None:
    async with connection.transaction():
        await connection.execute(_lock())
        await connection.execute(SQL["make_record"])
        waiting = await pending(connection)
        if not waiting:
            return None
        await connection.execute(waiting[0].sql)
        await connection.execute(SQL["record"], waiting[0].name, waiting[0].sha256)
        return waiting[0].name


def _lock() -> str:
    return f"SELECT pg_advisory_xact_lock({LOCK_ID});"


def _is_applied(migration: Migration, applied: dict[str, str]) -> bool:
    recorded = applied.get(migration.name)
    if recorded not in (None, migration.sha256):
        msg = f"migration {migration.name} was changed after this database applied it"
        raise MigrationError(msg)
    return recorded is not None


def main(argv: list[str]) -> int:
    """Exit code: 0, 1 when `--check` finds the schema behind, 64 or 69."""
    parser = Parser("spendra migrate", description=__doc__)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--print", action="store_true", dest="show", help="print all SQL")
    choice.add_argument("--check", action="store_true", help="exit 1 when the schema is behind")
    options = parser.parse_args(argv)
    if options.show:
        sys.stdout.write(render(migrations()))
        return 0
    try:
        return asyncio.run(_run(database_url(os.environ), check=options.check))
    except ConfigurationError as error:
        return _fail(str(error), EXIT_BAD_CONFIGURATION)
    except (MigrationError, *StoreError) as error:
        return _fail(f"The database could not be migrated: {error}.", EXIT_STORE_UNAVAILABLE)


async def _run(url: str, *, check: bool) -> int:
    connection = await connect(url)
    try:
        if check:
            return _report("behind", [migration.name for migration in await pending(connection)])
        _report("applied", await apply(connection))
        await connection.execute(PARTITIONS)
        return 0
    finally:
        await connection.close()


def _report(verb: str, names: list[str]) -> int:
    for name in names:
        sys.stdout.write(f"{verb} {name}\n")
    if not names:
        sys.stdout.write("the schema is up to date\n")
    return 1 if names else 0


def _fail(sentence: str, code: int) -> int:
    sys.stderr.write(f"{sentence}\n")
    return code
