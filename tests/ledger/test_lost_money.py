"""Lost reservations: the rule that ends them, an operator's word, and evidence that comes late."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import redis.asyncio as aioredis

from spendra.auditor import audit
from spendra_control_plane.stores.postgres import Pool, open_pool
from spendra_control_plane.worker import sweep
from spendra_control_plane.worker.holds import open_client
from spendra_sidecar.ledger.books import Books
from spendra_sidecar.ledger.journal import Journal, Row
from spendra_sidecar.ledger.words import Exhausted, Held, Outcome, Reservation
from tests.ledger.conftest import TIMEOUT_S, Desk, account, posted, reservation, voided


@pytest.fixture
async def pool(desk: Desk) -> AsyncIterator[Pool]:
    opened = await open_pool(desk.database_url, largest=2)
    yield opened
    await opened.close()


class Loss:
    """A reservation of 400 out of 1000, whose sidecar is gone."""

    def __init__(self, desk: Desk, pool: Pool) -> None:
        self.desk, self.pool, self.tight = desk, pool, account("tight", 1000)
        self.held: Reservation = reservation(400, self.tight)
        self.held.estimated_nanousd = 150

    async def happen(self, kind: str = "hard") -> None:
        await self.desk.database.execute(
            "INSERT INTO spendra.budgets (org_id, id, name, selector, period, limit_nanousd, kind)"
            " VALUES ($1, 'tight', 'tight', '{}', 'none', 1000, $2)",
            self.desk.org_id,
            kind,
        )
        await self.desk.sidecar().reserve(self.held)
        assert await sweep.label_lost(self.pool, self.desk.org_id) == 1

    async def rule(self, rule: str, after_s: int | None = None) -> None:
        await self.desk.database.execute(
            "UPDATE spendra.organizations SET lost_rule = $2, lost_after_s = $3 WHERE id = $1",
            self.desk.org_id,
            rule,
            after_s,
        )

    async def settle_late(self, end: Outcome) -> None:
        books = Books(self.desk.database_url, self.desk.org_id, "late", TIMEOUT_S)
        await books.settle([Row(self.held.id, end)])
        await books.close()

    async def event(self) -> tuple[str, str, str, int]:
        row = await self.desk.database.fetchrow(
            "SELECT outcome, reason, usage_confidence, cost_nanousd FROM spendra.spend_events"
            " WHERE org_id = $1",
            self.desk.org_id,
        )
        return tuple(row)

    async def adjusted(self) -> list[int]:
        sql = "SELECT amount_nanousd FROM spendra.adjustments WHERE org_id = $1 ORDER BY booked_at"
        return [row[0] for row in await self.desk.database.fetch(sql, self.desk.org_id)]

    async def audit(self) -> None:
        client = aioredis.Redis.from_url(self.desk.redis_url)
        found = await audit(self.desk.database, client, self.desk.org_id)
        await client.aclose()
        assert found == []


@pytest.fixture
async def loss(desk: Desk, pool: Pool) -> Loss:
    return Loss(desk, pool)


@pytest.mark.parametrize(
    ("rule", "kind", "event"),
    [
        ("worst_case", "hard", ("posted", "lost", "worst_case", 400)),
        ("estimate", "hard", ("posted", "lost_estimated", "estimated", 150)),
        ("release", "soft", ("voided", "lost_released", "none", 0)),
        ("release", "hard", ("posted", "lost", "worst_case", 400)),
    ],
)
async def test_the_rule_ends_what_is_lost(
    loss: Loss, rule: str, kind: str, event: tuple[str, str, str, int]
) -> None:
    await loss.happen(kind)
    await loss.rule(rule)
    assert await sweep.post_lost(loss.pool, loss.desk.org_id, 3600) == 0
    if rule != "worst_case":
        assert await sweep.post_lost(loss.pool, loss.desk.org_id, 0) == 0, "it may still leave"
        await loss.desk.age_lost()
    assert await sweep.post_lost(loss.pool, loss.desk.org_id, 0) == 1
    assert await loss.event() == event
    await loss.audit()


async def test_the_organizations_own_time_comes_first(loss: Loss) -> None:
    await loss.happen()
    await loss.rule("worst_case", after_s=0)
    assert await sweep.post_lost(loss.pool, loss.desk.org_id, 3600) == 1


@pytest.mark.parametrize(
    ("late", "change"), [(posted(90), -310), (posted(500), 100), (voided(), -400)]
)
async def test_evidence_after_the_end_is_booked_as_an_adjustment(
    loss: Loss, late: Outcome, change: int
) -> None:
    await loss.happen()
    await sweep.post_lost(loss.pool, loss.desk.org_id, 0)
    await loss.settle_late(late)
    await loss.settle_late(late)
    assert await sweep.book_evidence(loss.pool, loss.desk.org_id) == 1
    assert await sweep.book_evidence(loss.pool, loss.desk.org_id) == 0
    assert await loss.adjusted() == [change]
    assert await loss.desk.totals(loss.tight) == (400 + change, 0)
    await loss.audit()


async def test_evidence_that_agrees_books_nothing(loss: Loss) -> None:
    await loss.happen()
    await sweep.post_lost(loss.pool, loss.desk.org_id, 0)
    await loss.settle_late(posted(400))
    assert await sweep.book_evidence(loss.pool, loss.desk.org_id) == 0
    assert await loss.adjusted() == []


async def test_a_repeat_of_an_ordinary_settlement_is_no_evidence(loss: Loss) -> None:
    await loss.happen()
    await loss.settle_late(posted(70))
    await loss.settle_late(posted(90))
    assert await sweep.book_evidence(loss.pool, loss.desk.org_id) == 0
    assert await loss.desk.totals(loss.tight) == (70, 0)


async def test_a_journal_that_lands_late_corrects_the_account(loss: Loss) -> None:
    """The sidecar of before comes back with a settlement on its disk."""
    await loss.happen()
    await sweep.post_lost(loss.pool, loss.desk.org_id, 0)
    journal = Journal(loss.desk.state_dir / "sidecar-1" / "journal.jsonl")
    await journal.keep([Row(loss.held.id, posted(90))])
    revived = loss.desk.sidecar()
    await revived.drain()
    await sweep.book_evidence(loss.pool, loss.desk.org_id)
    client = open_client(loss.desk.redis_url)
    assert await sweep.withdraw(loss.pool, client, loss.desk.org_id) == 1
    await client.aclose()
    assert await revived.reserve(reservation(911, loss.tight)) == Exhausted(loss.tight, 90, 0, 1000)
    assert await revived.reserve(reservation(910, loss.tight)) == Held((1000,))
    await loss.audit()


async def test_an_operator_releases_a_lost_reservation(loss: Loss) -> None:
    await loss.happen()
    await loss.desk.age_lost()
    sql = "SELECT spendra.end_lost($1, $2, NULL, 'never arrived', 'ann')"
    end = (loss.desk.org_id, loss.held.id)
    assert await loss.desk.database.fetchval(sql, *end) == "voided"
    assert await loss.desk.database.fetchval(sql, *end) is None
    assert await loss.event() == ("voided", "released_by_hand", "none", 0)
    row = await loss.desk.database.fetchrow(
        "SELECT ended_by, reason, outcome FROM spendra.lost_endings WHERE org_id = $1",
        loss.desk.org_id,
    )
    assert tuple(row) == ("ann", "never arrived", "voided")
    await loss.settle_late(posted(33))
    await sweep.book_evidence(loss.pool, loss.desk.org_id)
    assert await loss.desk.totals(loss.tight) == (33, 0)
    await loss.audit()


async def test_an_open_reservation_cannot_be_ended_by_hand(loss: Loss) -> None:
    await loss.desk.sidecar().reserve(loss.held)
    sql = "SELECT spendra.end_lost($1, $2, 1, 'why', 'ann')"
    assert await loss.desk.database.fetchval(sql, loss.desk.org_id, loss.held.id) is None
    assert await loss.desk.totals(loss.tight) == (0, 400)


@pytest.mark.parametrize(
    ("leased_s", "aged_s", "ended"),
    [(30, 29, None), (30, 30, "voided"), (None, 14, None), (None, 15, "voided")],
)
async def test_what_a_sleeping_sidecar_may_still_send_is_not_ended_by_hand(
    loss: Loss, leased_s: int | None, aged_s: int, ended: str | None
) -> None:
    """It sends what it reserved until that is a lease old; no lease known: the default of 15 s."""
    await loss.happen()
    if leased_s:
        renew = "SELECT spendra.renew_lease($1, $2, 'before', $3)"
        owner = "SELECT sidecar_id FROM spendra.reservations WHERE org_id = $1"
        sidecar_id = await loss.desk.database.fetchval(owner, loss.desk.org_id)
        await loss.desk.database.execute(renew, loss.desk.org_id, sidecar_id, leased_s)
    sql = "SELECT spendra.end_lost($1, $2, NULL, 'why', 'ann')"
    async with loss.desk.database.transaction():  # now() stands still in it
        await loss.desk.database.execute(
            "UPDATE spendra.reservations SET lost_at = now() - make_interval(secs => $2)"
            " WHERE org_id = $1",
            loss.desk.org_id,
            aged_s,
        )
        assert await loss.desk.database.fetchval(sql, loss.desk.org_id, loss.held.id) == ended
    assert await loss.desk.totals(loss.tight) == (0, 0 if ended else 400)


async def test_a_settlement_that_races_with_the_rule_is_not_lost(loss: Loss) -> None:
    """It waits for the row that the rule is about to end, and cannot see what became of it."""
    await loss.happen()
    transaction = loss.desk.database.transaction()
    await transaction.start()
    await loss.desk.database.fetch("SELECT spendra.post_lost($1, 0)", loss.desk.org_id)
    settling = asyncio.create_task(loss.settle_late(posted(90)))
    await until_blocked(loss.desk)
    await transaction.commit()
    await settling
    assert await loss.event() == ("posted", "lost", "worst_case", 400)
    assert await sweep.book_evidence(loss.pool, loss.desk.org_id) == 1
    assert await loss.desk.totals(loss.tight) == (90, 0)
    await loss.audit()


async def until_blocked(desk: Desk) -> None:
    """Until somebody waits for a row that this connection's transaction has locked."""
    mine = await desk.database.fetchval("SELECT pg_backend_pid()")
    watching = await asyncpg.connect(desk.database_url)
    sql = "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))"
    async with asyncio.timeout(30):
        while not await watching.fetchval(sql, mine):  # noqa: ASYNC110 - Postgres sets no event
            await asyncio.sleep(0.01)
    await watching.close()
