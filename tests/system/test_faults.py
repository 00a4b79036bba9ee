"""Processes that die under a running product, and what is true of the money afterwards."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.system.conftest import System, eventually, running
from tests.system.test_bursts import burst

SLOW = {"x-simulate": "delay-ms=2500"}


@pytest.fixture(scope="module")
def system(provider: str) -> Iterator[System]:
    """One of our own: it will be hurt."""
    with running(provider, "--sidecars", "2") as found:
        yield found


def governed(system: System, name: str, limit_usd: str) -> tuple[str, str]:
    """A budget and a key of its project."""
    scope = {"project": name}
    return system.new_budget(scope, limit_usd)["id"], system.new_key(scope)["key"]


def kill(system: System, name: str) -> None:
    """kill -9, and wait until `spendra up` has replaced it."""
    system.refresh()
    old = system.up["pids"][name]
    os.kill(old, signal.SIGKILL)

    def look() -> dict[str, Any]:
        system.refresh()
        return dict(system.up["pids"])

    eventually(look, lambda pids: pids.get(name) not in {None, old}, within_s=30)


def until_it_works(system: System, key: str) -> httpx.Response:
    """The first answer that is not 5xx or a refused connection."""
    give_up = time.monotonic() + 30
    while True:
        try:
            [answer] = asyncio.run(burst(system, key, 1))
            if answer.status_code < 500:
                return answer
        except httpx.TransportError:
            pass
        assert time.monotonic() < give_up
        time.sleep(0.1)


async def in_flight(system: System, key: str, name: str, count: int) -> list[object]:
    """Slow calls, with the named process killed while they wait for the provider."""
    calls = asyncio.create_task(burst_whatever(system, key, count))
    await asyncio.sleep(1.0)
    await asyncio.to_thread(kill, system, name)
    return await calls


async def burst_whatever(system: System, key: str, count: int) -> list[object]:
    """Answers, and the exceptions of those whose connection died."""
    calls = [burst(system, key, 1, SLOW) for _ in range(count)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    return [each[0] if isinstance(each, list) else each for each in found]


def answered(found: list[object]) -> list[httpx.Response]:
    return [each for each in found if isinstance(each, httpx.Response)]


def test_killed_postgres_loses_no_settlement_and_heals(system: System) -> None:
    budget_id, key = governed(system, "postgres-killed", "10")
    found = asyncio.run(in_flight(system, key, "postgres", 12))
    ok = [answer for answer in answered(found) if answer.status_code == 200]
    assert until_it_works(system, key).status_code == 200
    final = system.drained(budget_id)
    costs = [system.ended(a.headers["x-spendra-decision-id"])["cost_nanousd"] for a in ok]
    assert final["settled_nanousd"] >= sum(costs)
    assert final["held_nanousd"] == 0


def test_killed_valkey_overspends_nothing_and_heals(system: System) -> None:
    probe = governed(system, "valkey-probe", "1")
    [answer] = asyncio.run(burst(system, probe[1], 1))
    one = system.ended(answer.headers["x-spendra-decision-id"])["reserved_nanousd"]
    budget_id, key = governed(system, "valkey-killed", f"{one * 10 / 1e9:.9f}")
    found = asyncio.run(in_flight(system, key, "valkey", 10))
    assert len([a for a in answered(found) if a.status_code == 200]) <= 10
    assert until_it_works(system, key).status_code in {200, 402}
    final = system.drained(budget_id)
    assert final["settled_nanousd"] <= final["limit_nanousd"]


def test_a_killed_sidecars_reservations_are_lost_and_stay_counted(
    system: System,
) -> None:
    budget_id, key = governed(system, "sidecar-killed", "10")
    asyncio.run(in_flight(system, key, "sidecar", 4))
    held = system.spend(budget_id)["held_nanousd"]
    assert held > 0, "what the killed sidecar had sent stays counted"
    until_it_works(system, key)

    def lost() -> dict[str, Any]:
        return system.ask("GET", "/v1/reservations?state=lost")

    shown = eventually(lost, lambda page: len(page["items"]) > 0, within_s=40)
    assert sum(item["reserved_nanousd"] for item in shown["items"]) == held
    assert {item["state"] for item in shown["items"]} == {"lost"}


def test_requests_go_on_while_control_plane_and_worker_stand_still(system: System) -> None:
    budget_id, key = governed(system, "alone", "10")
    until_it_works(system, key)
    system.refresh()
    away = [
        pid
        for name, pid in system.up["pids"].items()
        if name.replace("_", "-") in {"control-plane", "worker"}
    ]
    assert len(away) == 2
    for pid in away:
        os.kill(pid, signal.SIGSTOP)
    try:
        found = asyncio.run(burst(system, key, 12))
    finally:
        for pid in away:
            os.kill(pid, signal.SIGCONT)
    assert [answer.status_code for answer in found] == [200] * 12
    costs = [system.ended(a.headers["x-spendra-decision-id"])["cost_nanousd"] for a in found]
    assert system.drained(budget_id)["settled_nanousd"] >= sum(costs) > 0


def test_sigterm_ends_what_is_under_way_and_settles_it(system: System) -> None:
    budget_id, key = governed(system, "sidecar-stopped", "10")

    async def stop_under_load() -> list[object]:
        calls = asyncio.create_task(burst_whatever(system, key, 6))
        await asyncio.sleep(1.0)
        system.refresh()
        os.kill(system.up["pids"]["sidecar"], signal.SIGTERM)
        return await calls

    found = asyncio.run(stop_under_load())
    assert {answer.status_code for answer in answered(found)} <= {200, 503}
    final = system.drained(budget_id)
    ok = [answer for answer in answered(found) if answer.status_code == 200]
    costs = [system.ended(a.headers["x-spendra-decision-id"])["cost_nanousd"] for a in ok]
    assert final["settled_nanousd"] == sum(costs)
    until_it_works(system, key)
