"""Organizations are kept apart by Postgres itself, also where one tries to reach another."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from spendra_control_plane.stores.acting import Acting, act_as
from spendra_control_plane.stores.postgres import Pool
from tests.control_plane.books import Books
from tests.control_plane.running import ControlPlane, Organization, found_organization

PARTS = """
SELECT c.relname AS name, c.relrowsecurity AS secured, c.relispartition AS is_partition,
    EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid) AS has_policy,
    EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'org_id')
        OR c.relname = 'organizations' AS is_tenants,
    has_table_privilege('spendra_tenant', c.oid, 'SELECT') AS readable,
    has_table_privilege('spendra_tenant', c.oid, 'INSERT, UPDATE, DELETE') AS writable
FROM pg_class c
WHERE c.relnamespace = 'spendra'::regnamespace AND c.relkind IN ('r', 'p')
"""
DOORS = """
SELECT p.oid::regprocedure::text AS name FROM pg_proc p
WHERE p.pronamespace = 'spendra'::regnamespace AND p.prosecdef
    AND p.prorettype <> 'trigger'::regtype
    AND has_function_privilege('spendra_tenant', p.oid, 'EXECUTE')
"""


@pytest.fixture
def other(control_plane: ControlPlane) -> Iterator[Organization]:
    """Another organization, with something in most tables."""
    made = found_organization(control_plane, "Other")
    made.post("/v1/teams", {"name": "web"})
    made.post("/v1/projects", {"name": "checkout", "teams": ["web"]})
    made.post("/v1/keys", {"name": "k", "scope": {"project": "checkout"}})
    made.post("/v1/policies", {"name": "p", "rules": {"max_output_tokens": 10}})
    made.ask("PUT", "/v1/providers/openai", {"base_url": "http://127.0.0.1:1"})
    made.post("/v1/members", {"name": "ada", "roles": ["employee"]})
    yield made
    made.api.close()


@pytest.fixture
async def spent(control_plane: ControlPlane, other: Organization) -> AsyncIterator[Books]:
    """Its ledger has a request too."""
    connection = await asyncpg.connect(control_plane.environ["SPENDRA_DATABASE_URL"])
    body = {"name": "b", "period": "none", "limit_usd": "1", "kind": "hard"}
    books = Books(connection, other.id)
    await books.spend(100, await books.open_account(other.post("/v1/budgets", body)["id"]))
    yield books
    await connection.close()


@pytest.fixture
async def inside(control_plane: ControlPlane, org: Organization) -> AsyncIterator[Any]:
    """A connection as the control plane has it while it works for the first organization."""
    connection = await asyncpg.connect(control_plane.environ["SPENDRA_DATABASE_URL"])
    await connection.execute(
        "SELECT set_config('spendra.org_id', $1, false),"
        " set_config('role', 'spendra_tenant', false)",
        org.id,
    )
    yield connection
    await connection.close()


async def test_each_table_of_organizations_has_its_policy(spent: Books) -> None:
    tables = await spent.connection.fetch(PARTS)
    whole = [table for table in tables if table["is_tenants"] and not table["is_partition"]]
    assert len(whole) > 30
    assert [t["name"] for t in whole if not (t["secured"] and t["has_policy"])] == []
    open_ = [t for t in tables if t not in whole and (t["readable"] or t["writable"])]
    assert [(t["name"], t["writable"]) for t in open_] == [("migrations", False)]


@pytest.mark.usefixtures("spent")
async def test_nothing_of_another_organization_is_seen_or_changed(
    inside: Any, org: Organization, other: Organization
) -> None:
    tables = [row["name"] for row in await inside.fetch(PARTS) if row["readable"]]
    seen = 0
    for name in set(tables) - {"migrations"}:
        column = "id" if name == "organizations" else "org_id"
        table = f'spendra."{name}"'
        rows = await inside.fetch(f"SELECT DISTINCT {column} AS org_id FROM {table}")  # noqa: S608
        assert {row["org_id"] for row in rows} <= {org.id}, name
        seen += len(rows)
        delete = f"DELETE FROM {table} WHERE {column} = $1"  # noqa: S608
        assert await inside.execute(delete, other.id) == "DELETE 0", name
        update = f"UPDATE {table} SET {column} = {column} WHERE {column} = $1"  # noqa: S608
        assert await inside.execute(update, other.id) == "UPDATE 0", name
    assert seen > 3


async def test_nothing_is_written_for_another_organization(
    inside: Any, org: Organization, other: Organization
) -> None:
    insert = "INSERT INTO spendra.scopes (org_id, kind, name) VALUES ($1, 'team', 'planted')"
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await inside.execute(insert, other.id)
    await inside.execute(insert, org.id)
    move = "UPDATE spendra.scopes SET org_id = $1 WHERE name = 'planted'"
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await inside.execute(move, other.id)


async def test_functions_with_rights_of_their_own_do_not_lead_outside(
    inside: Any, other: Organization, spent: Books
) -> None:
    doors = {row["name"].partition("(")[0].replace('"', "") for row in await inside.fetch(DOORS)}
    tried = {
        "spendra.freeze": "SELECT spendra.freeze($1, true, 'r')",
        "spendra.end_lost": "SELECT spendra.end_lost($1, gen_random_uuid(), NULL, 'r', 'me')",
        "spendra.adjust": """SELECT spendra.adjust($1, gen_random_uuid(), 'credit', 5, 'r', 'me',
            NULL, NULL, '{}', 'expense:a', 'payable:b')""",
        "spendra.adjust_event": """SELECT spendra.adjust_event($1, gen_random_uuid(), 'credit',
            gen_random_uuid(), NULL, 5, 'r', 'me')""",
    }
    assert doors == {*tried, "spendra.account_totals"}
    for sql in tried.values():
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="not the one of this session"):
            await inside.execute(sql, other.id)
    accounts = "SELECT array_agg(account_id) FROM spendra.accounts WHERE org_id = $1"
    theirs = await spent.connection.fetchval(accounts, other.id)
    totals = "SELECT * FROM spendra.account_totals($1, $2)"
    assert len(await spent.connection.fetch(totals, other.id, theirs)) == 1
    assert await inside.fetch(totals, other.id, theirs) == []


@pytest.mark.usefixtures("spent")
async def test_a_question_that_forgets_the_organization_gets_its_callers_rows_only(
    pool: Pool, org: Organization
) -> None:
    everybody = "SELECT array_agg(DISTINCT id) FROM spendra.organizations"
    act_as(Acting("person ada", org.id))
    try:
        assert await pool.fetchval(everybody) == [org.id]
    finally:
        act_as(Acting("the process"))
    assert len(await pool.fetchval(everybody)) > 1, "the role went when the connection came back"
