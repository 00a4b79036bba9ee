"""`spendra ledger verify` and `spendra ledger export`."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from spendra.arguments import Parser
from spendra_control_plane.configuration import (
    EXIT_BAD_CONFIGURATION,
    EXIT_STORE_UNAVAILABLE,
    ConfigurationError,
    database_url,
)
from spendra_control_plane.record.export import Exported, ExportError, Head, read_manifest, write
from spendra_control_plane.record.rows import SQL, Live
from spendra_control_plane.record.verify import Verdict, verify
from spendra_control_plane.stores.postgres import Connection, StoreError, connect

_EXIT_BAD = 1


def main(argv: list[str]) -> int:
    """Exit code: 0 sound or exported, 1 a problem, 64 a wrong word or export, 69 no database."""
    words = _parser().parse_args(argv)
    try:
        return asyncio.run(_export(words) if words.do == "export" else _verify(words))
    except (ConfigurationError, ExportError) as error:
        return _fail(f"{error}.".replace("..", "."), EXIT_BAD_CONFIGURATION)
    except FileExistsError as error:
        return _fail(f"{error} is not empty; name a new directory.", EXIT_BAD_CONFIGURATION)
    except StoreError as error:
        return _fail(f"The database could not be read: {error}.", EXIT_STORE_UNAVAILABLE)


def _parser() -> Parser:
    parser = Parser("spendra ledger", description=__doc__)
    commands = parser.add_subparsers(dest="do", required=True)
    export = commands.add_parser("export", help="write the record of one organization to files")
    export.add_argument("directory", type=Path, help="a new or empty directory")
    verifying = commands.add_parser("verify", help="check the record, live or from an export")
    verifying.add_argument("--export", type=Path, metavar="DIR", help="check an export, offline")
    verifying.add_argument(
        "--noted", type=Path, metavar="MANIFEST",
        help="manifest.json of an earlier export: its heads must still be in the chains",
    )  # fmt: skip
    for each in (export, verifying):
        each.add_argument("--org", metavar="ID", help="needed when there are several")
    return parser


async def _export(words: argparse.Namespace) -> int:
    connection = await connect(database_url(os.environ))
    try:
        (org_id,) = await _organizations(connection, words.org, single=True)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(SQL["utc"])
            exported_at = await connection.fetchval(SQL["now"])
            manifest = await write(Live(connection, org_id), words.directory, exported_at)
    finally:
        await connection.close()
    for chain, rows in manifest.rows.items():
        _say(f"{chain}: {rows} rows, {_head(manifest.heads.get(chain))}")
    return 0


async def _verify(words: argparse.Namespace) -> int:
    noted = read_manifest(words.noted).heads if words.noted else {}
    if words.export:
        source = Exported(words.export)
        return _report(await verify(source, noted))
    connection = await connect(database_url(os.environ))
    try:
        code = 0
        for org_id in await _organizations(connection, words.org, single=bool(noted)):
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await connection.execute(SQL["utc"])
                code |= _report(await verify(Live(connection, org_id), noted))
        return code
    finally:
        await connection.close()


async def _organizations(connection: Connection, wanted: str | None, *, single: bool) -> list[str]:
    known = [row["id"] for row in await connection.fetch(SQL["organizations"])]
    chosen = [org_id for org_id in known if wanted in (None, org_id)]
    if not chosen or (single and len(chosen) > 1):
        msg = f"Name one organization with --org; there are {', '.join(known) or 'none'}"
        raise ConfigurationError(msg)
    return chosen


def _report(verdict: Verdict) -> int:
    for name, chain in verdict.chains.items():
        sealed = f"{chain.rows} rows in {chain.seals} seals, {chain.unsealed} not sealed yet"
        sealed += f", {chain.retired} no longer kept" if chain.retired else ""
        _say(f"{verdict.org_id} {name}: {sealed}, {_head(chain.head)}")
    for problem in verdict.problems:
        _say(f"{verdict.org_id} PROBLEM {problem}")
    _say(f"{verdict.org_id}: {'not sound' if verdict.problems else 'sound'}")
    return _EXIT_BAD if verdict.problems else 0


def _head(head: Head | None) -> str:
    return f"head {head.number}:{head.hash}" if head else "no head"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _fail(sentence: str, code: int) -> int:
    sys.stderr.write(f"spendra ledger: {sentence}\n")
    return code
