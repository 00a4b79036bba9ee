"""`spendra reseal`: seals every secret in the database under another master key.

The one in force is in SPENDRA_MASTER_KEY or SPENDRA_MASTER_KEY_FILE, the other in
SPENDRA_NEW_MASTER_KEY or SPENDRA_NEW_MASTER_KEY_FILE.
"""

import asyncio
import os
import sys
from collections.abc import Mapping

from spendra.arguments import Parser
from spendra.sealing import SealError
from spendra_control_plane.configuration import (
    EXIT_BAD_CONFIGURATION,
    EXIT_STORE_UNAVAILABLE,
    ConfigurationError,
    database_url,
    read_master_key,
)
from spendra_control_plane.stores.postgres import Connection, StoreError, connect
from spendra_control_plane.stores.sql import statements
from spendra_control_plane.stores.vault import Vault

SQL = statements("reseal")
SEALED = (
    "organizations.key_pepper_sealed",
    "organizations.signing_key_sealed",
    "provider_routes.credential_sealed",
    "segments.bytes",
    "api_repeats.answer_sealed",
    "sign_in.client_secret_sealed",
    "channels.address_sealed",
    "channels.signing_sealed",
)
"""Every column that holds what a vault has sealed; each has two statements in reseal.sql."""


def main(argv: list[str]) -> int:
    """Exit code: 0, 64 for a key that is missing or not the one in force, 69 no database."""
    Parser("spendra reseal", description=__doc__).parse_args(argv)
    try:
        return asyncio.run(_run(database_url(os.environ), *_vaults(os.environ)))
    except ConfigurationError as error:
        return _fail(str(error), EXIT_BAD_CONFIGURATION)
    except SealError:
        sentence = "SPENDRA_MASTER_KEY is not what these secrets are sealed under; nothing changed."
        return _fail(sentence, EXIT_BAD_CONFIGURATION)
    except StoreError as error:
        return _fail(f"Nothing was changed, the database: {error}.", EXIT_STORE_UNAVAILABLE)


def _vaults(environ: Mapping[str, str]) -> tuple[Vault, Vault]:
    renamed = {
        name.replace("SPENDRA_NEW_", "SPENDRA_"): value
        for name, value in environ.items()
        if name.startswith("SPENDRA_NEW_")
    }
    old, new = read_master_key(environ), read_master_key(renamed)
    if old is None or new is None:
        missing = "SPENDRA_MASTER_KEY" if old is None else "SPENDRA_NEW_MASTER_KEY"
        msg = f"{missing} is not set: both the key in force and the new one are needed."
        raise ConfigurationError(msg)
    return Vault(old), Vault(new)


async def _run(url: str, old: Vault, new: Vault) -> int:
    connection = await connect(url)
    try:
        async with connection.transaction():
            await connection.execute(SQL["lock"])
            counts = {column: await _reseal(connection, column, old, new) for column in SEALED}
    finally:
        await connection.close()
    for column, count in counts.items():
        sys.stdout.write(f"{column}: {count}\n")
    return 0


async def _reseal(connection: Connection, column: str, old: Vault, new: Vault) -> int:
    name = column.replace(".", "_")
    rows = await connection.fetch(SQL[f"read_{name}"])
    for row in rows:
        plain = old.unseal(row["org_id"], row["purpose"], row["sealed"])
        sealed = new.seal(row["org_id"], row["purpose"], plain)
        await connection.execute(SQL[f"write_{name}"], row["place"], sealed)
    return len(rows)


def _fail(sentence: str, code: int) -> int:
    sys.stderr.write(f"spendra reseal: {sentence}\n")
    return code
