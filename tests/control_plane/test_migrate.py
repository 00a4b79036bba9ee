"""`spendra migrate`."""

import pytest

from spendra.schema import migrations
from tests.control_plane.running import migrate, settings
from tests.servers import Postgres, Server


@pytest.fixture
def environ(postgres: Postgres, valkey: Server, request: pytest.FixtureRequest) -> dict[str, str]:
    return settings(postgres.create_database(request.node.name), valkey.url)


def test_applies_each_migration_once(environ: dict[str, str]) -> None:
    first, second = migrate(environ), migrate(environ)
    assert first.stdout.splitlines() == [f"applied {one.name}" for one in migrations()]
    assert (second.returncode, second.stdout) == (0, "the schema is up to date\n")


def test_check_tells_whether_the_schema_is_behind(environ: dict[str, str]) -> None:
    behind = migrate(environ, "--check")
    migrate(environ)
    assert behind.returncode == 1
    assert behind.stdout.startswith("behind 0001_configuration\n")
    assert migrate(environ, "--check").returncode == 0


def test_the_printed_script_does_what_applying_does(
    environ: dict[str, str], postgres: Postgres
) -> None:
    printed = migrate(environ, "--print")
    assert printed.returncode == 0
    postgres.psql(environ["SPENDRA_DATABASE_URL"], printed.stdout)
    assert migrate(environ, "--check").returncode == 0


def test_printing_needs_no_database(environ: dict[str, str]) -> None:
    del environ["SPENDRA_DATABASE_URL"]
    assert "CREATE TABLE spendra.organizations" in migrate(environ, "--print").stdout


def test_a_migration_that_was_changed_since_is_refused(
    environ: dict[str, str], postgres: Postgres
) -> None:
    migrate(environ)
    sql = "UPDATE spendra.migrations SET sha256 = 'other' WHERE name = '0001_configuration';"
    postgres.psql(environ["SPENDRA_DATABASE_URL"], sql)
    refused = migrate(environ)
    assert refused.returncode == 69
    assert "0001_configuration was changed" in refused.stderr


def test_without_a_database_url_it_says_so(environ: dict[str, str]) -> None:
    del environ["SPENDRA_DATABASE_URL"]
    refused = migrate(environ)
    assert (refused.returncode, refused.stderr) == (64, "SPENDRA_DATABASE_URL is not set.\n")


def test_an_unreachable_database_is_a_store_that_is_away(environ: dict[str, str]) -> None:
    environ["SPENDRA_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:9/none"
    assert migrate(environ).returncode == 69
