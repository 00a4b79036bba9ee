"""Folding beside settlements, partitions made ahead, and drift that is found and repaired."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import redis.asyncio as aioredis

from spendra.auditor import audit
from spendra.balances import Keys, keys
from spendra_control_plane.stores.postgres import Pool, open_pool
from spendra_control_plane.worker import auditing, sweep
from spendra_control_plane.worker.metrics import Metrics
from spendra_sidecar.ledger.words import Exhausted, Held
from tests.ledger.conftest import Desk, account, posted, reservation, settle


@pytest.fixture
async def pool(desk: Desk) -> AsyncIterator[Pool]:
    opened = await open_pool(desk.database_url, largest=6)
    yield opened
    await opened.close()


@pytest.fixture
async def redis(desk: Desk) -> AsyncIterator[aioredis.Redis]:
    client = aioredis.Redis.from_url(desk.redis_url)
    yield client
    await client.aclose()


async def test_totals_are_right_while_several_workers_fold(desk: Desk, pool: Pool) -> None:
    ledger, busy, done = desk.sidecar(), account("busy", 10**9), asyncio.Event()

    async def spend() -> None:
        for _ in range(40):
            held = reservation(10, busy)
            assert isinstance(await ledger.reserve(held), Held)
            ledger.settle(held, posted(1))
            await asyncio.sleep(0)

    async def fold() -> int:
        folded = 0
        while not done.is_set():
            folded += await sweep.fold(pool, desk.org_id)
        return folded

    async def watch() -> list[int]:
        seen = []
        while not done.is_set():
            seen.append((await desk.totals(busy))[0])
        return seen

    others = [asyncio.create_task(fold()) for _ in range(3)]
    watching = asyncio.create_task(watch())
    await asyncio.gather(*(spend() for _ in range(8)))
    await ledger.drain()
    done.set()
    folded, seen = sum(await asyncio.gather(*others)), await watching
    assert folded > 0
    assert seen == sorted(seen), "a total never goes back, whoever folds"
    assert await desk.totals(busy) == (320, 0)
    await sweep.fold(pool, desk.org_id)
    assert await desk.totals(busy) == (320, 0)


async def test_a_movement_without_its_account_is_kept(desk: Desk, pool: Pool) -> None:
    await desk.database.execute(
        "INSERT INTO spendra.account_movements"
        " VALUES ($1, 'none@0', 1, 5, 1), ($1, 'b@0', 2, 5, 1)",
        desk.org_id,
    )
    assert await sweep.fold(pool, desk.org_id) == 0
    sql = "SELECT count(*) FROM spendra.account_movements WHERE org_id = $1"
    assert await desk.database.fetchval(sql, desk.org_id) == 2


PARTITIONED = ("spend_events", "ledger_entries", "refusals")


async def partitions(database: asyncpg.Connection) -> set[str]:
    rows = await database.fetch(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " JOIN pg_class p ON p.oid = i.inhparent WHERE p.relkind = 'p'"
    )
    return {row["relname"] for row in rows}


async def test_this_month_and_the_next_two_are_there(desk: Desk) -> None:
    found, month = await partitions(desk.database), datetime.now(UTC).replace(day=1)
    for _ in range(3):
        for table in PARTITIONED:
            assert f"{table}_{month:%Y_%m}" in found
        month = (month + timedelta(days=32)).replace(day=1)


async def test_new_rows_go_to_the_partition_of_their_month(desk: Desk) -> None:
    ledger, tight = desk.sidecar(), account("tight", 1000)
    held = reservation(1, tight)
    await ledger.reserve(held)
    await settle(ledger, held, posted(1))
    for table in ("spend_events", "ledger_entries"):
        month = f"{table}_{datetime.now(UTC):%Y_%m}"
        sql = f"SELECT count(*) FROM spendra.{month} WHERE org_id = $1"  # noqa: S608
        assert await desk.database.fetchval(sql, desk.org_id) > 0


async def test_rows_of_a_missing_month_move_when_it_is_made(desk: Desk) -> None:
    """They fell into the default partition: append-only there, and after."""
    old = datetime(2001, 2, 3, tzinfo=UTC)
    insert = (
        "INSERT INTO spendra.ledger_entries (org_id, booked_at, batch_id, kind, account,"
        " amount_nanousd) VALUES ($1, $2, 0, 'hold', 'a', 5) RETURNING entry_id"
    )
    entry = await desk.database.fetchval(insert, desk.org_id, old)
    where = (
        "SELECT c.relname, e.entry_id FROM spendra.ledger_entries e"
        " JOIN pg_class c ON c.oid = e.tableoid WHERE e.org_id = $1"
    )
    assert tuple(await desk.database.fetchrow(where, desk.org_id)) == (
        "ledger_entries_default",
        entry,
    )
    made = await desk.database.fetchval("SELECT spendra.make_partitions($1, 0)", old.date())
    assert set(made) == {f"{table}_2001_02" for table in PARTITIONED}
    moved = ("ledger_entries_2001_02", entry)
    assert tuple(await desk.database.fetchrow(where, desk.org_id)) == moved
    assert await desk.database.fetchval("SELECT spendra.make_partitions($1, 0)", old.date()) == []
    await desk.database.execute(insert, desk.org_id, old - timedelta(days=365))
    for sql in (
        "DELETE FROM spendra.ledger_entries_2001_02",
        "TRUNCATE spendra.ledger_entries_2001_02",
        "DELETE FROM spendra.ledger_entries_default",
        "TRUNCATE spendra.ledger_entries_default",
        "UPDATE spendra.ledger_entries SET amount_nanousd = 6",
    ):
        with pytest.raises(asyncpg.RestrictViolationError):
            await desk.database.execute(sql)
    later = await desk.database.fetchval(insert, desk.org_id, old)
    assert later > entry, "new rows of that month still get their number"


class Drifting:
    def __init__(self, desk: Desk, pool: Pool, redis: aioredis.Redis) -> None:
        self.desk, self.pool, self.redis = desk, pool, redis
        self.tight, self.metrics = account("tight", 1000), Metrics()
        self.ledger = desk.sidecar()

    async def prepare(self) -> None:
        held = reservation(300, self.tight)
        await self.ledger.reserve(held)
        await settle(self.ledger, held, posted(250))

    async def names(self) -> Keys:
        sql = "SELECT spendra.current_generation($1)"
        return keys(self.desk.org_id, await self.desk.database.fetchval(sql, self.desk.org_id))

    async def check(self) -> int:
        found = await auditing.check_drift(self.pool, self.redis, self.desk.org_id, self.metrics)
        return len(found)

    def gauge(self, kind: str) -> float | None:
        labels = {"org_id": self.desk.org_id, "kind": kind}
        return self.metrics.registry.get_sample_value("spendra_drift_nanousd", labels)


@pytest.fixture
async def drifting(desk: Desk, pool: Pool, redis: aioredis.Redis) -> Drifting:
    made = Drifting(desk, pool, redis)
    await made.prepare()
    return made


async def test_no_drift_is_a_gauge_at_zero(drifting: Drifting) -> None:
    assert await drifting.check() == 0
    assert drifting.gauge("redis_below_postgres") == 0


async def test_drift_is_shown_recorded_and_repaired(drifting: Drifting) -> None:
    before = await drifting.names()
    await drifting.redis.hincrby(before.taken, "tight@0", -200)
    assert await drifting.check() > 0
    assert drifting.gauge("redis_below_postgres") == 200
    row = await drifting.desk.database.fetchrow(
        "SELECT generation, findings::text FROM spendra.reconciliations WHERE org_id = $1",
        drifting.desk.org_id,
    )
    assert before.generation.split(":")[-2] == row["generation"]
    assert '"drift_nanousd": -200' in row["findings"]
    verdict = await drifting.ledger.reserve(reservation(751, drifting.tight))
    assert verdict == Exhausted(drifting.tight, 250, 0, 1000), "rebuilt from Postgres"
    assert await drifting.check() == 0
    assert drifting.gauge("redis_below_postgres") == 0
    found = await audit(drifting.desk.database, drifting.redis, drifting.desk.org_id, idle=True)
    assert found == []


async def test_repairs_keep_their_distance(drifting: Drifting) -> None:
    """Balances that are wrong again at once do not become one rebuild after another."""
    await drifting.redis.hincrby((await drifting.names()).taken, "tight@0", -200)
    await drifting.check()
    await drifting.ledger.reserve(reservation(1, drifting.tight))
    again = await drifting.names()
    await drifting.redis.hincrby(again.taken, "tight@0", -200)
    assert await drifting.check() > 0
    assert await drifting.names() == again


async def test_violations_of_the_books_are_a_gauge(drifting: Drifting) -> None:
    await auditing.audit_recent(drifting.pool, drifting.desk.org_id, drifting.metrics)
    async with drifting.desk.database.transaction():
        await drifting.desk.database.execute("SET LOCAL session_replication_role = replica")
        await drifting.desk.database.execute(
            "UPDATE spendra.spend_events SET cost_nanousd = 251 WHERE org_id = $1",
            drifting.desk.org_id,
        )
    labels = {"org_id": drifting.desk.org_id, "invariant": "3"}
    sample = drifting.metrics.registry.get_sample_value
    assert sample("spendra_audit_findings", labels) == 0
    await auditing.audit_recent(drifting.pool, drifting.desk.org_id, drifting.metrics)
    assert sample("spendra_audit_findings", labels) == 1


async def test_balances_that_are_too_high_refuse_nothing_for_long(drifting: Drifting) -> None:
    """A refusal asks Redis only, so the closed balances have to go from there."""
    await drifting.redis.hincrby((await drifting.names()).taken, "tight@0", 750)
    assert isinstance(await drifting.ledger.reserve(reservation(1, drifting.tight)), Exhausted)
    assert await drifting.check() > 0
    assert await drifting.ledger.reserve(reservation(750, drifting.tight)) == Held((1000,))
