"""The queue's tables are those that its library asks for."""

from pathlib import Path

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment

from spendra.schema import migrations
from spendra_control_plane.worker.jobs import SETTINGS


def statements(sql: str) -> list[str]:
    lines = [line for line in sql.splitlines() if not line.startswith("--")]
    return [" ".join(part.split()) for part in "\n".join(lines).split("\n\n") if part.strip()]


def test_the_migration_is_what_the_library_would_install() -> None:
    (ours,) = [one.sql for one in migrations() if one.name == "0020_jobs"]
    wanted = QueryBuilderEnvironment(SETTINGS).build_install_query(create_schema=False)
    assert statements(ours)[:-1] == statements(wanted)
    assert statements(ours)[-1].startswith("REVOKE ALL ON FUNCTION spendra.jobs_changed")


def test_the_library_is_the_one_that_the_migration_was_made_for() -> None:
    locked = (Path(__file__).parents[2] / "requirements" / "up.in").read_text("utf-8")
    assert "pgqueuer[asyncpg]==1.6." in locked
