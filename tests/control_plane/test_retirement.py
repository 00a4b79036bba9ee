"""Months that are no longer kept: what remains adds up, fits its seals, and says what is gone."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from spendra.auditor import audit_books
from spendra_control_plane.record import command
from spendra_control_plane.stores.postgres import Pool, open_pool
from spendra_control_plane.worker import rolling
from spendra_control_plane.worker.configuration import load
from spendra_control_plane.worker.retirement import Keeping, retire
from spendra_control_plane.worker.sealing import Sealer, horizon
from tests.control_plane.books import Books
from tests.control_plane.running import (
    ControlPlane,
    Organization,
    found_organization,
    migrate,
    settings,
    start_control_plane,
)
from tests.servers import Postgres, Server

KEEPING = Keeping(events=13, refusals=13)


def month(ago: int) -> datetime:
    """The first instant of a month."""
    now = datetime.now(UTC)
    years, number = divmod(now.year * 12 + now.month - 1 - ago, 12)
    return datetime(years, number + 1, 1, tzinfo=UTC)


class Past:
    """An organization with sealed books of many months, in a database of its own."""

    def __init__(self, url: str, org: Organization, pool: Pool, books: Books) -> None:
        self.url, self.org, self.pool, self.books = url, org, pool, books
        self.budget = ""
        self.account = ""

    async def begin(self) -> None:
        body = {"name": "all", "period": "none", "limit_usd": "1", "kind": "hard"}
        self.budget = str(self.org.post("/v1/budgets", body)["id"])
        self.account = await self.books.open_account(self.budget)

    async def clock(self, moment: datetime) -> None:
        """What is booked from now on is booked then."""
        self.books.reserved_at = moment
        for table, column in (("ledger_entries", "booked_at"), ("spend_events", "settled_at")):
            await self.books.connection.execute(
                f"ALTER TABLE spendra.{table} ALTER {column} SET DEFAULT '{moment.isoformat()}'"
            )

    async def spend(self, moment: datetime, *costs: int) -> None:
        await self.clock(moment)
        for cost in costs:
            await self.books.spend(cost, self.account)

    async def seal(self) -> None:
        upto = await horizon(self.pool)
        assert upto is not None
        await Sealer(self.pool).seal_all(self.org.id, upto)
        assert await rolling.roll_up(self.pool, [self.org.id])

    async def retire(self) -> None:
        await retire(self.url, KEEPING)

    async def months(self) -> list[str]:
        rows = await self.pool.fetch(
            "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid"
            " WHERE inhparent = 'spendra.spend_events'::regclass ORDER BY 1"
        )
        return [row["relname"] for row in rows]

    async def tamper(self, sql: str) -> None:
        """As somebody who may alter tables."""
        async with self.books.connection.transaction():
            await self.books.connection.execute("SET LOCAL session_replication_role = replica")
            await self.books.connection.execute(sql)


@pytest.fixture
def plane(
    postgres: Postgres, valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ControlPlane]:
    environ = settings(postgres.create_database(tmp_path.name), valkey.url)
    assert migrate(environ).returncode == 0
    monkeypatch.setenv("SPENDRA_DATABASE_URL", environ["SPENDRA_DATABASE_URL"])
    started = start_control_plane(environ, tmp_path / "log")
    yield started
    started.stop()


@pytest.fixture
async def past(plane: ControlPlane) -> AsyncIterator[Past]:
    url = plane.environ["SPENDRA_DATABASE_URL"]
    connection, pool = await asyncpg.connect(url), await open_pool(url)
    org = found_organization(plane)
    made = Past(url, org, pool, Books(connection, org.id))
    await made.begin()
    for ago, costs in ((16, (1, 2)), (15, (3,))):
        await made.spend(month(ago) + timedelta(days=9), *costs)
    await made.seal()
    # One that is reserved in the last second of a month and settled in the next, and a seal that
    # reaches over the end of what is kept.
    await made.clock(month(13) - timedelta(seconds=1))
    _, late = await made.books.reserve(40, made.account)
    await made.spend(month(14) + timedelta(days=3), 4, 5)
    await made.clock(month(13) + timedelta(hours=2))
    await made.books.settle(late, "posted", 6)
    await made.spend(month(13) + timedelta(days=3), 7, 8)
    await made.seal()
    await made.spend(month(0), 9)
    await made.seal()
    yield made
    org.api.close()
    await connection.close()
    await pool.close()


async def verified(
    capsys: pytest.CaptureFixture[str], *words: str, code: int = 0
) -> tuple[list[str], str]:
    """What it found, and everything that it printed."""
    capsys.readouterr()
    found = await asyncio.to_thread(command.main, ["verify", *words])
    shown = capsys.readouterr().out
    assert found == code, shown
    return [line for line in shown.splitlines() if "PROBLEM" in line], shown


def old_month(org: Organization) -> int:
    start, end = (f"{moment:%Y-%m-%dT%H:%M}" for moment in (month(16), month(14)))
    return int(org.get(f"/v1/spend?from={start}&to={end}")["total"]["cost_nanousd"])


async def test_old_months_leave_and_the_rest_is_sound(
    past: Past, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    org = past.org
    settled = org.get(f"/v1/budgets/{past.budget}/spend")["settled_nanousd"]
    assert (settled, old_month(org)) == (45, 6)
    await past.retire()
    kept = [f"spend_events_{month(13):%Y_%m}", f"spend_events_{month(0):%Y_%m}"]
    assert not {f"spend_events_{month(ago):%Y_%m}" for ago in (14, 15, 16)} & {*await past.months()}
    assert {*kept[1:]} <= {*await past.months()}
    _, live = await verified(capsys)
    assert "3 rows in 3 seals, 0 not sealed yet, 6 no longer kept" in live
    directory = tmp_path / "export"
    assert await asyncio.to_thread(command.main, ["export", str(directory)]) == 0
    _, offline = await verified(capsys, "--export", str(directory))
    assert offline == live
    assert await audit_books(past.books.connection, org.id, idle=True) == []
    assert org.get(f"/v1/budgets/{past.budget}/spend")["settled_nanousd"] == 45
    assert old_month(org) == 6
    assert {item["cost_nanousd"] for item in org.get("/v1/ledger")["items"]} == {7, 8, 9}
    await past.spend(month(0) + timedelta(hours=1), 10)
    await past.seal()
    await verified(capsys)
    await past.retire()
    await verified(capsys)


async def test_who_asks_for_what_is_gone_is_told(past: Past) -> None:
    await past.retire()
    org, since = past.org, f"{month(13):%Y-%m-%dT00:00:00Z}"
    assert org.get("/v1/organization")["kept_since"] == since
    long_ago, now = f"{month(15):%Y-%m-%dT00:00:00Z}", f"{month(0):%Y-%m-%dT00:00:00Z}"
    for path in ("/v1/ledger", "/v1/exports/finance.csv"):
        assert f"{month(13):%Y-%m-%d}" in org.get(f"{path}?from={long_ago}", 422)["detail"]
        answer = org.api.get(f"{path}?from={since}")
        assert answer.status_code == 200
    rules = {"models_deny": ["*"]}
    policy = {"policy": {"rules": rules}, "from": long_ago, "to": now}
    assert "no longer kept" in org.post("/v1/policies/replay", policy, 422)["detail"]
    rerating = {"from": long_ago, "to": now, "reason": "new price", "dry_run": True}
    assert "no longer kept" in org.post("/v1/prices/rerate", rerating, 422)["detail"]
    audited = org.get("/v1/audit?limit=1000")["items"]
    retired = [one["after"] for one in audited if one["what"] == "retirements"]
    assert sorted((one["month"], one["events"], one["cost_nanousd"]) for one in retired) == [
        (f"{month(16):%Y-%m-%d}", 2, 3),
        (f"{month(15):%Y-%m-%d}", 1, 3),
        (f"{month(14):%Y-%m-%d}", 3, 15),
    ]


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("DELETE FROM spendra.spend_events WHERE cost_nanousd = 7", "1 rows are there"),
        (
            "UPDATE spendra.spend_events SET output_tokens = 1 WHERE cost_nanousd = 7",
            "was changed, added or moved",
        ),
        (
            "UPDATE spendra.retired_seals SET leaves = set_byte(leaves, 3, 7)",
            "its root is not that of the leaves",
        ),
        ("UPDATE spendra.retired_seals SET rows = rows + 1", "rows are there"),
        (
            "UPDATE spendra.retirements SET events = events + 1 WHERE cost_nanousd = 15",
            "said to be retired",
        ),
        (
            "UPDATE spendra.retired_seals SET rows = rows + 1 WHERE leaves IS NULL",
            "rows are retired, and seals lack",
        ),
        ("UPDATE spendra.accounts SET retired_nanousd = 0", "it shows 45 nano-USD as settled"),
    ],
)
async def test_what_is_done_to_what_remains_is_found(
    past: Past, sql: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await past.retire()
    await past.tamper(sql)
    problems, _ = await verified(capsys, code=1)
    assert any(says in problem for problem in problems), problems


async def test_a_month_waits_for_what_is_open_or_unsealed_in_it(
    past: Past, caplog: pytest.LogCaptureFixture
) -> None:
    await past.clock(month(15) + timedelta(days=2))
    _, held = await past.books.reserve(50, past.account)
    await past.retire()
    assert f"spend_events_{month(15):%Y_%m}" in await past.months()
    assert "is open" in caplog.text
    await past.books.settle(held, "posted", 11)
    await past.retire()
    assert "is not sealed" in caplog.text
    await past.seal()
    await past.retire()
    assert await past.pool.fetchval("SELECT count(*) FROM spendra.spend_events") == 3
    assert past.org.get(f"/v1/budgets/{past.budget}/spend")["settled_nanousd"] == 56


async def test_rows_that_come_late_for_a_month_that_went_go_too(
    past: Past, capsys: pytest.CaptureFixture[str]
) -> None:
    await past.retire()
    await past.spend(month(15) + timedelta(days=2), 12)
    await past.seal()
    await past.retire()
    assert await past.pool.fetchval("SELECT count(*) FROM spendra.spend_events") == 3
    await verified(capsys)


async def test_two_workers_at_once(past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    await asyncio.gather(past.retire(), past.retire())
    await verified(capsys)
    assert await past.pool.fetchval("SELECT sum(cost_nanousd) FROM spendra.retirements") == 21


async def test_refusals_may_go_sooner(past: Past) -> None:
    sql = "UPDATE spendra.refusals SET refused_at = $2 WHERE decision_id = $1"
    old, new = [await past.books.refuse(past.account) for _ in range(2)]
    async with past.books.connection.transaction():
        await past.books.connection.execute("SET LOCAL session_replication_role = replica")
        await past.books.connection.execute(sql, old, month(3))
    await retire(past.url, Keeping(events=None, refusals=1))
    rows = await past.pool.fetch("SELECT decision_id FROM spendra.refusals")
    assert [row["decision_id"] for row in rows] == [new]
    assert past.org.get("/v1/organization")["kept_since"] is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("SPENDRA_KEEP_MONTHS", "12"), ("SPENDRA_KEEP_REFUSALS_MONTHS", "0")],
)
def test_too_short_a_time_is_refused(name: str, value: str) -> None:
    env = {"SPENDRA_DATABASE_URL": "x", "SPENDRA_REDIS_URL": "y", name: value}
    with pytest.raises(ValueError, match=f"{name} must be a whole number of"):
        load(env)
    assert load({**env, name: ""}).keeping == Keeping(None, None)
