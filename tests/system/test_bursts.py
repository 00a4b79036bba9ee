"""Many callers at once, over two sidecars, with stores that fail under them."""

import asyncio
from typing import Any

import httpx
import redis

from tests.system.conftest import System, eventually

BODY: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "hello"}],
    "max_tokens": 100,
}


async def burst(
    system: System, key: str, count: int, headers: dict[str, str] | None = None
) -> list[httpx.Response]:
    """So many calls at once, alternating between the sidecars."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:
        urls = system.up["sidecar_urls"]
        return await asyncio.gather(
            *(
                client.post(
                    f"{urls[i % len(urls)]}/v1/chat/completions",
                    json=BODY,
                    headers={"authorization": f"Bearer {key}", **(headers or {})},
                )
                for i in range(count)
            )
        )


def worst_case(system: System, key: str) -> int:
    """What one call of the burst reserves, in nano-USD."""
    [answer] = asyncio.run(burst(system, key, 1))
    return int(system.ended(answer.headers["x-spendra-decision-id"])["reserved_nanousd"])


def usd(nanousd: int) -> str:
    return f"{nanousd // 10**9}.{nanousd % 10**9:09d}"


def test_200_callers_over_two_sidecars_get_exactly_the_37_that_fit(system: System) -> None:
    scope = {"project": "burst"}
    one = worst_case(system, system.new_key({"project": "burst-probe"})["key"])
    budget = system.new_budget(scope, usd(37 * one + one // 2))
    key = system.new_key(scope)["key"]
    answers, samples = asyncio.run(_burst_and_watch(system, key, budget["id"]))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * 37 + [402] * 163
    assert all(s["settled_nanousd"] + s["held_nanousd"] <= s["limit_nanousd"] for s in samples)
    final = system.drained(budget["id"])
    costs = [
        system.ended(a.headers["x-spendra-decision-id"])["cost_nanousd"]
        for a in answers
        if a.status_code == 200
    ]
    assert final["settled_nanousd"] == sum(costs)


async def _burst_and_watch(
    system: System, key: str, budget_id: str
) -> tuple[list[httpx.Response], list[dict[str, Any]]]:
    """Calls slow enough that all of the admitted ones are held at the same time."""
    calling = asyncio.create_task(burst(system, key, 200, {"x-simulate": "delay-ms=6000"}))
    samples = []
    while not calling.done():
        samples.append(await asyncio.to_thread(system.spend, budget_id))
        await asyncio.sleep(0.05)
    return calling.result(), samples


def test_emptying_redis_under_load_overspends_nothing_and_heals(system: System) -> None:
    scope = {"project": "flushed"}
    one = worst_case(system, system.new_key({"project": "flush-probe"})["key"])
    budget = system.new_budget(scope, usd(20 * one))
    key = system.new_key(scope)["key"]
    first, second = asyncio.run(_burst_with_flush(system, key))
    admitted = [a for a in first + second if a.status_code == 200]
    assert {a.status_code for a in first + second} <= {200, 402, 503}
    assert len(admitted) <= 20
    final = system.drained(budget["id"])
    assert final["settled_nanousd"] <= final["limit_nanousd"]
    costs = [system.ended(a.headers["x-spendra-decision-id"])["cost_nanousd"] for a in admitted]
    assert final["settled_nanousd"] == sum(costs)
    [after] = asyncio.run(burst(system, key, 1))
    assert after.status_code == 200


async def _burst_with_flush(
    system: System, key: str
) -> tuple[list[httpx.Response], list[httpx.Response]]:
    """Fill the budget with slow calls, empty Redis while they run, then try for as much again."""
    slow = {"x-simulate": "delay-ms=1500"}
    first = asyncio.create_task(burst(system, key, 20, slow))
    await asyncio.sleep(0.7)
    redis.Redis.from_url(system.up["redis_url"]).flushall()
    second = await burst(system, key, 40, slow)
    return await first, second


def test_balances_in_redis_end_equal_to_the_books(system: System) -> None:
    scope = {"project": "equal"}
    budget = system.new_budget(scope, "1")
    key = system.new_key(scope)["key"]
    asyncio.run(burst(system, key, 30))
    final = system.drained(budget["id"])
    client = redis.Redis.from_url(system.up["redis_url"])

    def taken() -> dict[str, Any]:
        tables = list(client.scan_iter("spendra:*:taken"))
        found = [client.hgetall(table) for table in tables]
        accounts = {k.decode(): int(v) for table in found for k, v in table.items()}
        return {k: v for k, v in accounts.items() if k.startswith(budget["id"])}

    shown = eventually(taken, lambda t: list(t.values()) == [final["settled_nanousd"]])
    assert shown
