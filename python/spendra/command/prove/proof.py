"""The proof: one burst after the other, each ended by the audit."""

import asyncio
import sys
import time
from typing import Final

import asyncpg
import httpx
from redis.asyncio import Redis

from spendra.auditor import Evidence, Finding, audit
from spendra.command.prove.calls import Answers, Callers
from spendra.command.prove.plan import Plan, Round, judge, table
from spendra.command.prove.product import Product

_AT_REST_WITHIN_S: Final = 90.0
_OK: Final = 200
_KILL_AFTER_S: Final = (0.05, 1.2)
_HELD_AT_REST: Final = "SELECT count(*) FROM spendra.reservations WHERE org_id = $1"


async def prove(plan: Plan, product: Product) -> bool:
    """Whether every figure is as promised; prints them."""
    rounds: list[Round] = []
    async with Callers(product) as callers:
        for number in range(1, plan.repeat + 1):
            found = await _burst(plan, product, callers, number)
            rounds.append(found)
            _say(table([found]).splitlines()[-1] if number > 1 else table([found]))
    return _sum_up(plan, rounds)


def _sum_up(plan: Plan, rounds: list[Round]) -> bool:
    wrong = [(each.number, line) for each in rounds for line in judge(each, plan)]
    for number, line in wrong:
        _say(f"burst {number}: {line}")
    overspent = max(each.overspent_nanousd for each in rounds)
    drift = max(each.drift_nanousd for each in rounds)
    slowest = max((each.recovered_s or 0.0 for each in rounds), default=0.0)
    _say(
        f"{len(rounds)} bursts of {plan.burst} calls over {plan.sidecars} sidecars, room for "
        f"{plan.room}: overspent {overspent}, drift {drift} nano-USD, slowest recovery "
        f"{slowest:.1f} s. {'VIOLATED' if wrong else 'Everything held.'}"
    )
    return not wrong


async def _burst(plan: Plan, product: Product, callers: Callers, number: int) -> Round:
    """Calls at once, one process killed among them, and what is true when all is quiet."""
    found = Round(number)
    budget = await callers.budget_for(plan.room)
    found.limit_nanousd = budget.limit_nanousd
    watching = asyncio.create_task(_watch(product, budget.id, found))
    calling = asyncio.create_task(callers.call(budget.key, plan.burst))
    began = await _kill_one(plan, product, found)
    recovering = asyncio.create_task(_recover(callers, product, began, found))
    _count(found, await calling)
    await recovering
    await _rest(product, found)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await callers.close(budget)
    return found


def _count(found: Round, answers: Answers) -> None:
    statuses, found.at_once = answers
    found.admitted = statuses.count(200)
    found.refused = statuses.count(402)
    found.unavailable = len(statuses) - found.admitted - found.refused


async def _kill_one(plan: Plan, product: Product, found: Round) -> float:
    """When it was killed, or would have been."""
    if not plan.victims:
        return time.monotonic()
    await asyncio.sleep(plan.random.uniform(*_KILL_AFTER_S))
    found.killed = plan.random.choice(plan.victims)
    killed = product.kill(found.killed)
    began = time.monotonic()
    while not product.is_back(found.killed, killed):
        await asyncio.sleep(0.02)
        if time.monotonic() - began > _AT_REST_WITHIN_S:
            break
    return began


async def _recover(callers: Callers, product: Product, began: float, found: Round) -> None:
    """Until every sidecar answers a call that fits, from the kill on."""
    deadline = began + _AT_REST_WITHIN_S
    for url in product.running.sidecar_urls:
        while await callers.one(url, callers.other_key) != _OK:
            if time.monotonic() > deadline:
                found.recovered_s = None
                return
            await asyncio.sleep(0.05)
    found.recovered_s = time.monotonic() - began if found.killed != "-" else 0.0


async def _watch(product: Product, budget_id: str, found: Round) -> None:
    """Settled + held in Postgres, as often as it answers; none of it may be above the limit."""
    while True:
        try:
            await _sample(product, budget_id, found)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await asyncio.sleep(0.1)


async def _sample(product: Product, budget_id: str, found: Round) -> None:
    running = product.running
    connection = await asyncpg.connect(running.database_url, timeout=5, command_timeout=5)
    try:
        while True:
            taken = await connection.fetchval(_TAKEN, running.org_id, f"{budget_id}@%")
            found.highest_nanousd = max(found.highest_nanousd, taken or 0)
            await asyncio.sleep(0.02)
    finally:
        connection.terminate()


_TAKEN: Final = """SELECT max(t.settled_nanousd + t.held_nanousd)
    FROM spendra.account_totals($1, ARRAY(SELECT a.account_id FROM spendra.accounts a
        WHERE a.org_id = $1 AND a.account_id LIKE $2)) t"""


async def _rest(product: Product, found: Round) -> None:
    """Until nothing is held and the audit finds nothing, or the time is over: then what it found.

    What a killed sidecar held is labelled lost and ended by rule meanwhile.
    """
    deadline = time.monotonic() + _AT_REST_WITHIN_S
    findings: list[Finding] | None = None
    while time.monotonic() < deadline:
        try:
            found.left_over, findings = await _audit(product)
        except (OSError, TimeoutError, asyncpg.PostgresError, httpx.HTTPError) as error:
            found.violations = [f"the audit could not be done: {error}"]
        else:
            found.violations = [str(each) for each in findings if each.is_violation]
            if not found.left_over and not findings:
                return
        await asyncio.sleep(0.5)
    drifts = [each.figures.get("drift_nanousd") for each in findings or []]
    found.drift_nanousd = max((abs(each) for each in drifts if isinstance(each, int)), default=0)


async def _audit(product: Product) -> tuple[int, list[Finding]]:
    running = product.running
    async with httpx.AsyncClient(timeout=5) as client:
        told = (await client.get(f"{product.provider_url}/simulator/requests")).json()
    connection = await asyncpg.connect(running.database_url, timeout=5, command_timeout=20)
    redis = Redis.from_url(running.redis_url, socket_timeout=5)
    try:
        held = await connection.fetchval(_HELD_AT_REST, running.org_id)
        evidence = Evidence(arrived=told["total"])
        return held, await audit(connection, redis, running.org_id, evidence, idle=True)
    finally:
        connection.terminate()
        await redis.aclose()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
