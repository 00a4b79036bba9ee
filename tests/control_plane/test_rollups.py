"""Rollups hold what the events say, and reports are made from them."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from spendra_control_plane.reporting.rollups import span
from spendra_control_plane.stores.postgres import Pool
from spendra_control_plane.worker import rolling
from tests.control_plane.books import Books
from tests.control_plane.running import Organization
from tests.control_plane.test_roles import client, token_of

MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
START = MIDNIGHT - timedelta(days=3)
# To the end of tomorrow: what is booked now is in it, though midnight may come meanwhile.
SPAN = f"from={START:%Y-%m-%dT%H:%M}&to={MIDNIGHT + timedelta(days=2):%Y-%m-%dT%H:%M}"


class Event(NamedTuple):
    at: datetime
    facts: dict[str, list[str]]
    nanousd: int


def made_up(number: int) -> list[Event]:
    dice = random.Random(number)  # noqa: S311 - a seed is the point
    return [
        Event(
            START + timedelta(seconds=dice.randrange(4 * 86400)),
            {
                "project": [dice.choice(["checkout", "search"])],
                "team": ["all", dice.choice(["payments", "growth"])],
                "model": [dice.choice(["gpt-5", "gpt-5-mini"])],
                "run": [str(dice.random())],
                **({"label:feature": [dice.choice("xyz")]} if dice.random() < 0.7 else {}),
            },
            dice.randrange(1, 10**9),
        )
        for _ in range(number)
    ]


async def book(books: Books, account: str, events: list[Event]) -> None:
    for event in events:
        books.facts, books.reserved_at = event.facts, event.at
        await books.spend(event.nanousd, account)


async def rolled(pool: Pool, org: Organization) -> None:
    """A transaction of another test's process may hold a batch open for a moment."""
    for _ in range(100):
        if await rolling.roll_up(pool, [org.id]):
            return
    pytest.fail("the rollups never became whole")


def costs(answer: dict[str, Any]) -> dict[str | None, int]:
    return {item["value"]: item["cost_nanousd"] for item in answer["items"]}


def by(events: list[Event], dimension: str) -> Counter[str | None]:
    sums: Counter[str | None] = Counter()
    for event in events:
        for value in event.facts.get(dimension, [None]):  # type: ignore[list-item]
            sums[value] += event.nanousd
    return sums


async def test_reports_show_what_the_events_sum_up_to(
    books: Books, org: Organization, budget: str, pool: Pool
) -> None:
    account = await books.open_account(budget)
    events = made_up(60)
    for part in (events[:20], events[20:40], events[40:]):
        await book(books, account, part)
        await asyncio.gather(*(rolling.roll_up(pool, [org.id]) for _ in range(4)))
    await rolled(pool, org)
    for dimension in ("project", "team", "model", "label:feature"):
        answer = org.get(f"/v1/spend?{SPAN}&by={dimension}")
        assert costs(answer) == by(events, dimension)
        assert answer["total"]["requests"] == 60
        dearest = [item["cost_nanousd"] for item in answer["items"]]
        assert dearest == sorted(dearest, reverse=True)
    of_x = [event for event in events if event.facts.get("label:feature") == ["x"]]
    answer = org.get(f"/v1/spend?{SPAN}&scope=label:feature=x,model=gpt*&by=project")
    assert costs(answer) == by(of_x, "project")
    assert answer["total"]["cost_nanousd"] == sum(event.nanousd for event in of_x)


async def test_one_value_or_several_and_ones_own_are_told_alike(
    books: Books, org: Organization, budget: str, pool: Pool
) -> None:
    account = await books.open_account(budget)
    events = made_up(60)
    await book(books, account, events)
    await rolled(pool, org)
    manager = token_of(org, "mia", ["manager"], {"team": ["payments"]})
    seen = [
        ("team=payments", org.admin_token, "payments"),
        ("team=growth", org.admin_token, "growth"),
        ("", manager, "payments"),
        ("team=all", manager, "payments"),
    ]
    for scope, token, team in seen:
        inside = [event for event in events if team in event.facts["team"]]
        with client(org, token) as api:
            for dimension in ("project", "model", "label:feature", "hour", "day"):
                asked = f"/v1/spend?{SPAN}&limit=1000&by={dimension}&scope={scope}"
                answer = api.get(asked).json()
                assert answer["total"]["requests"] == len(inside), (scope, dimension)
                told = {value: cost for value, cost in costs(answer).items() if cost}
                if dimension == "hour":
                    assert told == by_hour(inside)
                elif dimension != "day":
                    assert told == by(inside, dimension), (scope, dimension)
                assert answer["total"]["cost_nanousd"] == sum(e.nanousd for e in inside)


async def test_the_ledger_finds_a_value_wherever_it_is(
    books: Books, org: Organization, budget: str, pool: Pool
) -> None:
    """Summed up or not yet, spent or given back, long ago or now."""
    account = await books.open_account(budget)
    expected = []
    for days, project, outcome in (
        (80, "rare", "posted"),
        (40, "rare", "voided"),
        (40, "other", "posted"),
        (3, "rare", "posted"),
        (0, "other", "posted"),
        (0, "rare", "voided"),
    ):
        if days == 0:
            await rolled(pool, org)
        team = "payments" if project == "rare" else "x"
        books.facts = {"project": [project], "team": [team], "run": [f"run of {project}"]}
        books.reserved_at = datetime.now(UTC) - timedelta(days=days)
        decision, reservation = await books.reserve(100, account)
        await books.settle(reservation, outcome, 100)
        expected += [str(decision)] if project == "rare" else []
    manager = token_of(org, "mia", ["manager"], {"team": ["payments"]})
    for scope, token in (
        ("project=rare", org.admin_token),
        ("run=run of rare", org.admin_token),
        ("run=run of rare,project=rare", org.admin_token),
        ("", manager),
    ):
        with client(org, token) as api:
            asked, found = f"/v1/ledger?limit=1&scope={scope}", []
            cursor: str | None = ""
            while cursor is not None:
                page = api.get(f"{asked}&cursor={cursor}").json()
                found += [item["decision_id"] for item in page["items"]]
                cursor = page["next_cursor"]
            assert found == expected[::-1]
    assert org.get("/v1/ledger?scope=project=nobody")["items"] == []
    spent = org.get("/v1/spend?by=project&from=2020-01-01")["items"]
    assert {item["value"] for item in spent} == {"rare", "other"}


async def test_the_ledger_finds_every_cost_center_that_an_event_names(
    books: Books, org: Organization, budget: str, pool: Pool
) -> None:
    """The first is charged, and is the one in the totals."""
    account = await books.open_account(budget)
    books.facts = {"cost_center": ["charged", "other"], "project": ["p"]}
    decision = str(await books.spend(100, account))
    await rolled(pool, org)
    manager = token_of(org, "mia", ["manager"], {"cost_center": ["other"]})
    for scope in ("cost_center=charged", "cost_center=other", "cost_center=other,project=p"):
        items = org.get(f"/v1/ledger?scope={scope}")["items"]
        assert [item["decision_id"] for item in items] == [decision], scope
    with client(org, manager) as api:
        items = api.get("/v1/ledger").json()["items"]
    assert [item["decision_id"] for item in items] == [decision]


async def test_a_key_shows_the_hour_of_its_last_use(
    books: Books, org: Organization, budget: str, pool: Pool
) -> None:
    key = org.post("/v1/keys", {"name": "k"})
    assert key["last_used_at"] is None
    account = await books.open_account(budget)
    books.facts = {"key": [key["id"]]}
    for hours in (30, 5, 70):
        books.reserved_at = START + timedelta(hours=hours, minutes=7)
        await books.spend(100, account)
    await rolled(pool, org)
    used = f"{START + timedelta(hours=70):%Y-%m-%dT%H:%M:%SZ}"
    assert org.get(f"/v1/keys/{key['id']}")["last_used_at"] == used
    assert [one["last_used_at"] for one in org.get("/v1/keys")["items"]] == [used]


async def test_any_whole_hours_are_told_exactly_and_by_time(
    books: Books, org: Organization, budget: str, pool: Pool
) -> None:
    account = await books.open_account(budget)
    events = made_up(40)
    await book(books, account, events)
    await rolled(pool, org)
    for first, last in ((0, 96), (5, 30), (7, 9), (24, 48), (20, 73)):
        start, end = START + timedelta(hours=first), START + timedelta(hours=last)
        inside = [event for event in events if start <= event.at < end]
        asked = f"from={start:%Y-%m-%dT%H:%M}&to={end:%Y-%m-%dT%H:%M}"
        answer = org.get(f"/v1/spend?{asked}&by=hour&limit=1000")
        assert answer["total"]["cost_nanousd"] == sum(event.nanousd for event in inside)
        assert len(answer["items"]) == last - first
        hours = by_hour(inside)
        assert {k: v for k, v in costs(answer).items() if v} == hours
    days = org.get(f"/v1/spend?{SPAN}&by=day")["items"]
    assert sum(day["requests"] for day in days) == 40
    assert len(days) == 5


def by_hour(events: list[Event]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for event in events:
        sums[f"{event.at:%Y-%m-%dT%H}:00:00Z"] += event.nanousd
    return dict(sums)


async def test_adjustments_count_where_what_they_correct_was(
    books: Books, org: Organization, budget: str, pool: Pool
) -> None:
    account = await books.open_account(budget)
    books.reserved_at = START
    decision = await books.spend(1000, account)
    await rolled(pool, org)
    org.post(
        "/v1/adjustments",
        {"decision_id": str(decision), "cost_usd": "0.0000004", "reason": "price"},
    )
    credit = {"account_id": account, "amount_usd": "-0.0000001", "reason": "credit"}
    org.post("/v1/adjustments", {**credit, "cost_center": "ops", "provider": "openai"})
    await rolled(pool, org)
    first = org.get(f"/v1/spend?from={START:%Y-%m-%dT%H:%M}&to={START:%Y-%m-%d}T23:00&by=project")
    (item,) = first["items"]
    assert (item["value"], item["cost_nanousd"], item["adjusted_nanousd"]) == (
        "checkout",
        1000,
        -600,
    )
    centers = org.get(f"/v1/spend?{SPAN}&by=cost_center")
    assert {i["value"]: i["adjusted_nanousd"] for i in centers["items"]} == {
        "checkout": -600,
        "ops": -100,
    }


async def test_only_some_are_shown_and_the_total_is_of_all(
    books: Books, org: Organization, budget: str, pool: Pool
) -> None:
    account = await books.open_account(budget)
    for project in ("a", "b", "c"):
        books.facts = {"project": [project]}
        await books.spend(100, account)
    await rolled(pool, org)
    answer = org.get("/v1/spend?by=project&limit=2")
    assert [item["value"] for item in answer["items"]] == ["a", "b"]
    assert (answer["has_more"], answer["total"]["cost_nanousd"]) == (True, 300)
    assert answer["whole_at"] is not None


async def test_a_budget_shows_its_windows_and_its_hours(
    books: Books, org: Organization, pool: Pool
) -> None:
    body = {"name": "all", "period": "none", "limit_usd": "1", "kind": "hard"}
    budget = str(org.post("/v1/budgets", body)["id"])
    account = await books.open_account(budget)
    for hours, nanousd in ((0, 5), (1, 7), (1, 11)):
        books.reserved_at = START + timedelta(hours=hours)
        await books.spend(nanousd, account)
    await rolled(pool, org)
    rows = await pool.fetch(
        "SELECT starts_at, cost_nanousd FROM spendra.account_hours WHERE account_id = $1"
        " ORDER BY 1", account,
    )  # fmt: skip
    assert [tuple(row) for row in rows] == [(START, 5), (START + timedelta(hours=1), 18)]
    assert org.get(f"/v1/budgets/{budget}/windows")["items"] == [
        {
            "account_id": account,
            "start": "1970-01-01T00:00:00Z",
            "end": None,
            "limit_nanousd": 10**9,
            "limit_usd": "1.00",
            "settled_nanousd": 23,
            "settled_usd": "0.000000023",
        }
    ]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("from=2026-11-01T00:30", "whole hours"),
        ("from=2026-11-02&to=2026-11-01", "before"),
        ("by=projct", "'projct' is not a dimension"),
        ("by=run", "GET /v1/ledger"),
        ("by=label:a&scope=label:b=c", "one label"),
        ("from=2025-01-01&to=2026-11-01&by=hour", "31 days"),
        ("from=2026-11-01T01:00&to=2026-11-03&by=day", "midnight UTC"),
    ],
)
def test_what_rollups_cannot_tell_is_refused(org: Organization, query: str, said: str) -> None:
    assert said in org.get(f"/v1/spend?{query}", 422)["detail"]


def test_a_span_is_days_and_the_hours_around_them() -> None:
    hour = timedelta(hours=1)
    for first in range(50):
        for last in range(first + 1, 75):
            start, end = START + first * hour, START + last * hour
            days, hours = span(start, end)
            told = [days[0] + i * hour for i in range((days[1] - days[0]) // hour)]
            told += [hours[0] + i * hour for i in range((hours[1] - hours[0]) // hour)]
            told += [hours[2] + i * hour for i in range((hours[3] - hours[2]) // hour)]
            assert sorted(told) == [start + i * hour for i in range(last - first)]


async def test_a_label_of_endless_values_is_not_summed_up(
    books: Books, org: Organization, budget: str, pool: Pool
) -> None:
    account = await books.open_account(budget)
    decisions = []
    for n in range(6):
        labels = {"label:session": [f"s{n}"], "label:feature": ["ab"[n % 2]]}
        books.facts = {"project": ["checkout"], **labels}
        decisions.append(await books.spend(10, account))
        await rolling.roll_up(pool, [org.id], 4)
    await rolled(pool, org)
    by_feature = org.get(f"/v1/spend?{SPAN}&by=label:feature")
    assert {i["value"]: i["cost_nanousd"] for i in by_feature["items"]} == {"a": 30, "b": 30}
    assert by_feature["total"]["cost_nanousd"] == 60
    for asked in ("by=label:session", "by=project&scope=label:session=s1"):
        assert "too many values" in org.get(f"/v1/spend?{SPAN}&{asked}", 422)["detail"]
    for n, decision in enumerate(decisions):
        found = org.get(f"/v1/ledger?scope=label:session=s{n}")["items"]
        assert [item["decision_id"] for item in found] == [str(decision)]
    for sql in (
        "SELECT count(*) FROM spendra.spend_totals WHERE org_id = $1 AND dimension = $2",
        "SELECT count(*) FROM spendra.spend_rollups WHERE org_id = $1 AND label = $2",
        "SELECT count(*) FROM spendra.spend_facts WHERE org_id = $1 AND label = $2",
    ):
        assert await pool.fetchval(sql, org.id, "label:session") == 0


async def test_only_so_many_names_of_labels_are_summed_up(
    books: Books, org: Organization, budget: str, pool: Pool
) -> None:
    account = await books.open_account(budget)
    books.facts = {"project": ["p"], **{f"label:n{n:03}": ["x"] for n in range(201)}}
    decision = await books.spend(10, account)
    await rolled(pool, org)
    assert org.get(f"/v1/spend?{SPAN}&by=label:n199")["items"][0]["cost_nanousd"] == 10
    org.get(f"/v1/spend?{SPAN}&by=label:n200", 422)
    (item,) = org.get("/v1/ledger?scope=label:n200=x")["items"]
    assert item["decision_id"] == str(decision)
    assert org.get("/v1/ledger?scope=label:n200=y")["items"] == []
