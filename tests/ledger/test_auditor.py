"""The auditor: sound books have no finding, and each planted violation is named."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio as aioredis

from spendra.auditor import Evidence, Finding, audit
from spendra.balances import Keys, keys
from spendra_sidecar.ledger.words import Held
from tests.ledger.conftest import Desk, account, posted, reservation, settle, voided


@pytest.fixture
async def redis(desk: Desk) -> AsyncIterator[aioredis.Redis]:
    client = aioredis.Redis.from_url(desk.redis_url)
    yield client
    await client.aclose()


class Auditing:
    """One organization with a settled, a voided and an open reservation of `tight`."""

    def __init__(self, desk: Desk, redis: aioredis.Redis) -> None:
        self.desk, self.redis, self.tight = desk, redis, account("tight", 1000)

    async def prepare(self) -> None:
        ledger = self.desk.sidecar()
        self.ended, self.open = reservation(100, self.tight), reservation(200, self.tight)
        dropped = reservation(50, self.tight)
        for each in (self.ended, self.open, dropped):
            assert isinstance(await ledger.reserve(each), Held)
        await settle(ledger, self.ended, posted(70))
        await settle(ledger, dropped, voided())

    async def found(self, *, idle: bool = False, **told: Any) -> list[Finding]:
        evidence = Evidence(**told)
        return await audit(self.desk.database, self.redis, self.desk.org_id, evidence, idle=idle)

    async def kinds(self, *, idle: bool = False, **told: Any) -> set[tuple[int, str]]:
        found = await self.found(idle=idle, **told)
        return {(f.invariant, f.kind) for f in found if f.is_violation}

    async def plant(self, sql: str, *values: object) -> None:
        """Past the triggers that make tables append-only. $1 is the organization."""
        async with self.desk.database.transaction():
            await self.desk.database.execute("SET LOCAL session_replication_role = replica")
            await self.desk.database.execute(sql, self.desk.org_id, *values)

    async def names(self) -> Keys:
        sql = "SELECT generation FROM spendra.generations WHERE org_id = $1"
        return keys(self.desk.org_id, await self.desk.database.fetchval(sql, self.desk.org_id))


@pytest.fixture
async def books(desk: Desk, redis: aioredis.Redis) -> Auditing:
    auditing = Auditing(desk, redis)
    await auditing.prepare()
    return auditing


async def test_sound_books_have_no_finding(books: Auditing) -> None:
    assert await books.found(limits_nanousd={"tight@0": 1000}, arrived=2, billed_nanousd=270) == []


async def test_drained_books_have_no_finding_when_idle(books: Auditing) -> None:
    assert await books.kinds(idle=True) == {(6, "still_held")}
    await settle(books.desk.sidecars[0], books.open, posted(200))
    assert await books.found(idle=True) == []


async def test_nothing_is_found_while_requests_come_and_go(books: Auditing) -> None:
    ledger, done = books.desk.sidecars[0], asyncio.Event()

    async def spend() -> None:
        while not done.is_set():
            held = reservation(10, books.tight)
            if isinstance(await ledger.reserve(held), Held):
                ledger.settle(held, posted(1))

    spending = [asyncio.create_task(spend()) for _ in range(8)]
    try:
        for _ in range(20):
            assert await books.found() == []
    finally:
        done.set()
        await asyncio.gather(*spending)
    count = "SELECT count(*) FROM spendra.spend_events WHERE org_id = $1"
    assert await books.desk.database.fetchval(count, books.desk.org_id) > 20


COPY_EVENT = """INSERT INTO spendra.spend_events (org_id, reserved_at, reservation_id, decision_id,
    attempt, sidecar_id, outcome, reason, reserved_nanousd, estimated_nanousd, cost_nanousd,
    account_ids, provider, requested_model, model, usage_confidence, input_tokens,
    cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, policy_version,
    price_version, facts, batch_id)
SELECT org_id, reserved_at + interval '1 s', reservation_id, decision_id, attempt, sidecar_id,
    outcome, reason, reserved_nanousd, estimated_nanousd, cost_nanousd, account_ids, provider,
    requested_model, model, usage_confidence, 0, 0, 0, 0, 0, policy_version, price_version, facts,
    batch_id
FROM spendra.spend_events WHERE org_id = $1 AND outcome = 'posted'"""
REFUSE = """INSERT INTO spendra.refusals (org_id, decision_id, refused_at, sidecar_id, status,
    reason, message, provider, requested_model, estimated_nanousd, wanted_nanousd, account_ids,
    policy_version, facts)
SELECT $1, decision_id, reserved_at - interval '1 s', '', 402, 'budget_exhausted', '', '', '', 1, 1,
    '{}', 1, '{}' FROM spendra.spend_events WHERE org_id = $1 AND outcome = 'posted'"""
ENDED_AGAIN = """INSERT INTO spendra.reservations (org_id, reservation_id, decision_id, attempt,
    sidecar_id, incarnation, generation, reserved_at, reserved_nanousd, estimated_nanousd,
    account_ids, provider, requested_model, policy_version, price_version, facts)
SELECT org_id, reservation_id, decision_id, attempt, sidecar_id, '', 'closed', reserved_at,
    reserved_nanousd, 0, account_ids, provider, requested_model, 1, '', '{}'
FROM spendra.spend_events WHERE org_id = $1 AND outcome = 'posted'"""


CHANGE_EVENT = "UPDATE spendra.spend_events SET cost_nanousd ="
CHANGE_ENTRY = "UPDATE spendra.ledger_entries SET amount_nanousd ="


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (COPY_EVENT, {(3, "two_outcomes"), (7, "totals_differ"), (7, "expense_differs")}),
        (ENDED_AGAIN, {(3, "open_and_ended"), (9, "written_under_a_closed_generation")}),
        (
            f"{CHANGE_EVENT} 9 WHERE org_id = $1 AND outcome = 'voided'",
            {(3, "voided_at_a_cost")},
        ),
        (
            f"{CHANGE_EVENT} 71 WHERE org_id = $1 AND outcome = 'posted'",
            {(3, "event_without_its_entries"), (7, "totals_differ"), (7, "expense_differs")},
        ),
        (
            f"{CHANGE_ENTRY} 71 WHERE org_id = $1 AND account LIKE 'expense:%'",
            {(3, "unbalanced_batch"), (3, "event_without_its_entries"), (7, "expense_differs")},
        ),
        (
            "DELETE FROM spendra.spend_events WHERE org_id = $1 AND outcome = 'posted'",
            {(3, "entry_without_its_event"), (7, "totals_differ"), (7, "expense_differs")},
        ),
        (REFUSE, {(5, "charged_after_refusal"), (5, "refused_for_no_account")}),
        (
            "UPDATE spendra.accounts SET settled_nanousd = -1 WHERE org_id = $1",
            {(7, "totals_differ")},
        ),
        ("DELETE FROM spendra.accounts WHERE org_id = $1", {(7, "event_on_no_account")}),
        ("DELETE FROM spendra.reservations WHERE org_id = $1", {(7, "encumbrance_differs")}),
    ],
)
async def test_a_planted_violation_of_the_books_is_named(
    books: Auditing, sql: str, expected: set[tuple[int, str]]
) -> None:
    await books.plant(sql)
    assert expected <= await books.kinds()


async def test_an_account_above_every_limit_it_had_is_a_violation(books: Auditing) -> None:
    await books.plant(
        "INSERT INTO spendra.budgets (org_id, id, name, selector, period, limit_nanousd, kind)"
        " VALUES ($1, 'tight', 'tight', '{}', 'none', 269, 'hard')"
    )
    (found,) = await books.found()
    assert (found.invariant, found.kind, found.subject) == (1, "over_limit", "tight@0")
    assert found.is_violation
    assert (found.figures["settled_nanousd"], found.figures["held_nanousd"]) == (70, 200)
    assert await books.kinds(limits_nanousd={"tight@0": 269}) == {(1, "over_limit")}


async def test_a_limit_that_was_lowered_is_an_exception_and_no_violation(books: Auditing) -> None:
    database, org_id = books.desk.database, books.desk.org_id
    await database.execute(
        "INSERT INTO spendra.budgets (org_id, id, name, selector, period, limit_nanousd, kind)"
        " VALUES ($1, 'tight', 'tight', '{}', 'none', 1000, 'hard')",
        org_id,
    )
    await database.execute(
        "UPDATE spendra.budgets SET limit_nanousd = 100, version = 2 WHERE org_id = $1", org_id
    )
    (found,) = await books.found()
    assert (found.kind, found.is_violation) == ("over_limit", False)
    assert found.figures["highest_nanousd"] == 1000


async def test_an_overrun_explains_its_own_amount_only(books: Auditing) -> None:
    await settle(books.desk.sidecars[0], books.open, posted(950))
    assert await books.kinds(limits_nanousd={"tight@0": 1000}) == set()
    assert await books.kinds(limits_nanousd={"tight@0": 269}) == {(1, "over_limit")}


async def test_the_provider_saw_or_billed_more_than_was_booked(books: Auditing) -> None:
    assert await books.kinds(billed_nanousd=271) == {(1, "billed_above_the_books")}
    assert await books.kinds(arrived=3) == {(4, "left_unreserved")}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("taken", -1), {"redis_below_postgres", "redis_disagrees_with_itself"}),
        (("taken", 1), {"redis_disagrees_with_itself"}),
        (("settled", 1), {"settled_differs", "redis_disagrees_with_itself"}),
    ],
)
async def test_a_changed_balance_is_named(
    books: Auditing, change: tuple[str, int], expected: set[str]
) -> None:
    name, amount = change
    await books.redis.hincrby(getattr(await books.names(), name), "tight@0", amount)
    found = await books.found()
    assert {f.kind for f in found} == expected
    assert {f.invariant for f in found} == {2}
    assert abs(int(found[0].figures["drift_nanousd"] or 0)) == 1


async def test_a_hold_that_redis_lost_is_named(books: Auditing) -> None:
    names = await books.names()
    await books.redis.hdel(names.records, str(books.open.id))
    await books.redis.hincrby(names.taken, "tight@0", -200)
    assert await books.kinds() == {(2, "redis_below_postgres")}
    assert (2, "hold_missing") in await books.kinds(idle=True)


async def test_a_hold_of_nobody_is_named_once_it_is_old(books: Auditing) -> None:
    names = await books.names()
    record = "500:1:0::::tight@0"
    await books.redis.hset(names.records, str(uuid.uuid4()), record)
    await books.redis.hincrby(names.taken, "tight@0", 500)
    (found,) = await books.found()
    assert (found.kind, found.figures["drift_nanousd"]) == ("stray_hold", 500)


async def test_balances_that_redis_lost_are_no_finding(books: Auditing) -> None:
    await books.redis.delete(*(await books.names())[:4])
    assert await books.found() == []


async def test_what_is_set_aside_for_outages_stays_held(books: Auditing) -> None:
    await settle(books.desk.sidecars[0], books.open, posted(200))
    allowance = reservation(300, books.tight)
    allowance.provider, allowance.model = "spendra", "allowance"
    await books.desk.sidecars[0].reserve(allowance)
    assert await books.kinds(idle=True) == set()
