"""Sidecars as processes that are stopped past their lease, under a running product."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
import redis.asyncio as aioredis

from spendra.auditor import Finding, audit
from spendra.command.prove.calls import Callers
from spendra.command.prove.plan import Plan
from spendra.command.prove.product import Product

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """Two sidecars with leases of three seconds; lost money is posted after three more."""
    import random

    plan = Plan(
        burst=1, room=1, sidecars=2, repeat=1, victims=(), up_file=None,
        random=random.Random(1),  # noqa: S311 - it chooses victims
    )  # fmt: skip
    with Product(plan) as running:
        yield running


async def found(product: Product) -> list[Finding]:
    """What the audit says at rest, once nothing that lags can explain it."""
    running, findings = product.running, list[Finding]()
    connection = await asyncpg.connect(running.database_url)
    client = aioredis.Redis.from_url(running.redis_url)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            findings = await audit(connection, client, running.org_id, idle=True)
            if not findings:
                break
            await asyncio.sleep(0.5)
    finally:
        await connection.close()
        await client.aclose()
    return findings


async def test_a_sidecar_stopped_past_its_lease_overspends_nothing_when_it_goes_on(
    product: Product,
) -> None:
    """SIGSTOP with requests in flight, until what it holds was lost and posted; then SIGCONT."""
    async with Callers(product) as callers:
        budget = await callers.budget_for(8)
        calling = asyncio.create_task(callers.call(budget.key, 12))
        await asyncio.sleep(0.7)
        pid = product.running.pids["sidecar"]
        os.kill(pid, signal.SIGSTOP)
        await _until(lambda: _ended_as(product, "lost"))
        os.kill(pid, signal.SIGCONT)
        answers = await calling
        assert answers.statuses.count(200) <= 8 or not answers.at_once
        for url in product.running.sidecar_urls:
            assert await _answers(callers, url, budget.key) in {200, 402}
    assert await found(product) == []


async def test_a_killed_sidecars_money_is_booked_by_the_stated_rule(product: Product) -> None:
    """FIELD 9: kill -9 with work in flight: booked within the lease and the stated time."""
    async with Callers(product) as callers:
        budget = await callers.budget_for(8)
        calling = asyncio.create_task(callers.call(budget.key, 8))
        await asyncio.sleep(0.7)
        before = await _ended_as(product, "lost")
        os.kill(product.running.pids["sidecar"], signal.SIGKILL)
        await calling
        await _until(lambda: _more_than(product, before))
    assert await found(product) == []


async def _ended_as(product: Product, reason: str) -> int:
    running = product.running
    connection = await asyncpg.connect(running.database_url)
    sql = "SELECT count(*) FROM spendra.spend_events WHERE org_id = $1 AND reason = $2"
    ended: int = await connection.fetchval(sql, running.org_id, reason)
    await connection.close()
    return ended


async def _more_than(product: Product, before: int) -> bool:
    return await _ended_as(product, "lost") > before


async def _until(look: Any) -> None:
    deadline = time.monotonic() + 60
    while not await look():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)


async def _answers(callers: Callers, url: str, key: str) -> int:
    status, deadline = 0, time.monotonic() + 60
    while status not in {200, 402} and time.monotonic() < deadline:
        status = await callers.one(url, key)
        await asyncio.sleep(0.1)
    return status
