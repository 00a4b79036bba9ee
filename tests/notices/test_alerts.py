"""What a worker looks for, and tells once: each event on both sides of its bound."""

import asyncio
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spendra_control_plane.notices.events import RAISED, Notice, title
from spendra_control_plane.stores.postgres import Pool
from spendra_control_plane.worker import alerting, rolling
from tests.control_plane.books import Books
from tests.control_plane.running import Organization
from tests.notices.conftest import Start, eventually
from tests.notices.receivers import Receiver

USD = 10**9
HOUR = timedelta(hours=1)


def this_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


async def told(org: Organization, pool: Pool, event: str) -> list[dict[str, Any]]:
    """Its notices, oldest first, after four workers looked at once."""
    for _ in range(100):
        if await rolling.roll_up(pool, [org.id]):
            break
    await asyncio.gather(*(alerting.look(pool, org.id) for _ in range(4)))
    items: list[dict[str, Any]] = org.get(f"/v1/notices?event={event}")["items"]
    for item in items:
        raised = datetime.fromisoformat(item["raised_at"])
        notice = Notice(item["id"], org.id, raised, event, item["subject"], item["facts"])
        assert "{" not in title(notice)
    return items[::-1]


def budget_of(org: Organization, **more: Any) -> str:
    body = {"name": "all", "period": "none", "limit_usd": "1", "kind": "hard", **more}
    return str(org.post("/v1/budgets", body)["id"])


async def test_a_month_is_told_of_once_when_all_of_it_is_there(
    org: Organization, books: Books, pool: Pool
) -> None:
    account = await books.open_account(budget_of(org))
    this_month = this_hour().replace(day=1, hour=0)
    month = (this_month - timedelta(days=1)).replace(day=1)
    for moment, project, nanousd in (
        (month - HOUR, "checkout", 7),
        (month, "checkout", 100),
        (month + 9 * HOUR, "search", 400),
        (this_month - HOUR, "checkout", 50),
        (this_month, "checkout", 9999),
    ):
        books.facts, books.reserved_at = {"project": [project], "provider": ["openai"]}, moment
        await books.spend(nanousd, account)
    assert await rolling.roll_up(pool, [org.id])
    for late, expected in ((timedelta(seconds=-1), 0), (timedelta(), 1), (timedelta(days=9), 1)):
        whole = this_month + 6 * HOUR + late
        sql = "UPDATE spendra.rollup_marks SET whole_at = $1 WHERE org_id = $2"
        await pool.execute(sql, whole, org.id)
        await asyncio.gather(*(alerting.look(pool, org.id) for _ in range(4)))
        items = org.get("/v1/notices?event=finance.month")["items"]
        assert len(items) == expected
    facts = items[0]["facts"]
    assert items[0]["subject"] == f"{month:%Y-%m}"
    assert (facts["requests"], facts["total_nanousd"], facts["before_nanousd"]) == (3, 550, 7)
    assert facts["cost_centers"] == [
        {"cost_center": "search", "total_nanousd": 400},
        {"cost_center": "checkout", "total_nanousd": 150},
    ]


async def test_shares_of_a_limit_are_told_once_each_the_highest_first(
    org: Organization, books: Books, pool: Pool
) -> None:
    budget = budget_of(org, alert_at_percent=[80, 50, 100])
    account = await books.open_account(budget)
    await books.spend(USD // 2 - 1, account)
    assert await told(org, pool, "budget.threshold") == []
    await books.spend(1, account)
    (half,) = await told(org, pool, "budget.threshold")
    assert (half["subject"], half["facts"]["percent"]) == (budget, 50)
    await books.spend(USD // 2, account)
    both = await told(org, pool, "budget.threshold")
    assert [one["facts"]["percent"] for one in both] == [50, 100]
    org.ask("PATCH", f"/v1/budgets/{budget}", {"limit_usd": "2"})
    raised = await told(org, pool, "budget.threshold")
    assert [one["facts"]["percent"] for one in raised] == [50, 100, 50]


async def test_a_budget_without_shares_is_not_told_of(
    org: Organization, books: Books, pool: Pool
) -> None:
    budget = budget_of(org, alert_at_percent=[])
    await books.spend(USD, await books.open_account(budget))
    assert await told(org, pool, "budget.threshold") == []


@pytest.mark.parametrize(("nanousd", "count"), [(USD // 2, 1), (USD // 8, 0)])
async def test_a_pace_that_is_too_fast_is_told_before_the_limit_is_met(
    org: Organization, books: Books, pool: Pool, nanousd: int, count: int
) -> None:
    """Half is spent in three hours, and ten hours are left; or an eighth."""
    start, end = this_hour() - 3 * HOUR, this_hour() + 10 * HOUR
    fixed = {"starts_at": start.isoformat(), "ends_at": end.isoformat()}
    budget = budget_of(org, period="fixed", **fixed)
    account = await books.open_window(budget, start, end)
    books.reserved_at = start + HOUR
    await books.spend(nanousd, account)
    found = await told(org, pool, "budget.burn_rate")
    assert len(found) == count
    if found:
        assert found[0]["facts"]["per_hour_nanousd"] == round(nanousd / 3)
        assert start < datetime.fromisoformat(found[0]["facts"]["used_up_at"]) < end


@pytest.mark.parametrize(("last", "count"), [(USD // 10, 1), (USD // 1000, 0)])
async def test_an_hour_unlike_the_others_is_told(
    org: Organization, books: Books, pool: Pool, last: int, count: int
) -> None:
    budget = budget_of(org)
    account = await books.open_account(budget)
    for hours in range(2, 22):
        books.reserved_at = this_hour() - hours * HOUR
        await books.spend(USD // 1000, account)
    books.reserved_at = this_hour() - HOUR
    await books.spend(last, account)
    found = await told(org, pool, "budget.anomaly")
    assert [one["subject"] for one in found] == [budget] * count


async def test_what_a_provider_billed_above_the_worst_case_is_told(
    org: Organization, books: Books, budget: str, pool: Pool
) -> None:
    account = await books.open_account(budget)
    _, reservation = await books.reserve(1000, account)
    await books.settle(reservation, "posted", 1500)
    (found,) = await told(org, pool, "spend.overrun")
    assert (found["subject"], found["facts"]["overrun_nanousd"]) == ("openai/gpt-5-mini", 500)


async def test_drift_and_lost_money_are_told(
    org: Organization, books: Books, budget: str, pool: Pool
) -> None:
    assert await told(org, pool, "ledger.drift") == []
    await books.reconcile_at(datetime.now(UTC).isoformat())
    (drift,) = await told(org, pool, "ledger.drift")
    assert drift["facts"]["drift_nanousd"] == 5
    await books.reserve(700, await books.open_account(budget))
    await books.lose()
    (lost,) = await told(org, pool, "ledger.lost")
    assert (lost["subject"], lost["facts"]["held_nanousd"]) == ("s1", 700)


async def test_what_waits_for_a_review_is_told_once(
    org: Organization, books: Books, pool: Pool
) -> None:
    key = org.post("/v1/keys", {"name": "nightly"})
    review = await books.ask_review(key["id"], 7 * USD)
    (found,) = await told(org, pool, "review.requested")
    assert found["subject"] == review
    assert (found["facts"]["key"], found["facts"]["amount_nanousd"]) == ("nightly", 7 * USD)
    org.post(f"/v1/reviews/{review}/deny", {}, 200)
    assert await told(org, pool, "review.requested") == [found]


def test_each_event_that_is_looked_for_has_its_question() -> None:
    assert {event.replace(".", "_") for event in RAISED} == set(alerting.SQL)


async def test_two_workers_tell_it_once_and_one_may_be_killed(
    org: Organization, books: Books, receiver: Receiver, start_worker: Start
) -> None:
    channel = org.post("/v1/channels", {"name": "hook", "kind": "webhook", "url": receiver.url})
    org.post("/v1/subscriptions", {"channel_id": channel["id"], "events": ["budget.*"]})
    first = start_worker()
    start_worker()
    account = await books.open_account(budget_of(org))
    await books.spend(USD // 2, account)
    await asyncio.to_thread(eventually, lambda: len(receiver.received) == 1)
    first.send_signal(signal.SIGKILL)
    await asyncio.to_thread(first.wait)
    await books.spend(USD // 2, account)
    await asyncio.to_thread(eventually, lambda: len(receiver.received) == 2)
    found = org.get("/v1/notices?event=budget.threshold")["items"]
    assert [one["facts"]["percent"] for one in found] == [100, 50]
    assert len(org.get("/v1/deliveries?state=delivered")["items"]) == 2
