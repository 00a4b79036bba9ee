"""What a sidecar's database role may do: it runs in an agent's pod."""

import asyncio
import json
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.system.conftest import System


def sidecar_url(system: System) -> str:
    secrets = json.loads((system.directory / ".spendra" / "data" / "secrets.json").read_text())
    parts = urlsplit(system.up["database_url"])
    address = f"{parts.hostname}:{parts.port}{parts.path}"
    return f"postgresql://spendra_sidecar:{secrets['sidecar_password']}@{address}"


async def attempt(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM spendra.spend_events",
        "SELECT * FROM spendra.provider_routes",
        "INSERT INTO spendra.tombstones (org_id, reservation_id) VALUES ('o', gen_random_uuid())",
        "DELETE FROM spendra.reservations",
        "SELECT spendra.post_lost('o', 0)",
        "SELECT spendra.fold_movements('o', 0)",
        "SELECT spendra.close_generation('o', 'me')",
        "SELECT spendra.reconcile('o', 'g', '[]')",
        "SELECT spendra.end_lost('o', gen_random_uuid(), NULL, 'r', 'me')",
        "SELECT spendra.book_evidence('o')",
        "SELECT spendra.make_partitions(current_date, 1)",
        "INSERT INTO spendra.adjustments DEFAULT VALUES",
        "DELETE FROM spendra.seals",
        "CREATE TABLE spendra.mine (a int)",
    ],
)
def test_a_sidecars_role_can_touch_no_table(system: System, sql: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        asyncio.run(attempt(sidecar_url(system), sql))


def test_a_sidecars_role_can_call_the_ledger(system: System) -> None:
    asyncio.run(attempt(sidecar_url(system), "SELECT spendra.current_generation('o')"))
