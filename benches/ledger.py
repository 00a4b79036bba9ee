"""The stores alone: what a reservation costs Valkey and Postgres, and what a rebuild takes.

python -m benches.ledger

Real servers of this machine, and the ledger as sidecars use it. Prints JSON.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import redis.asyncio as aioredis
import uvloop

from benches import load, spendra
from benches.gateway import Ports, free_port
from benches.load import Upstream
from spendra_sidecar.ledger.balances import Total
from spendra_sidecar.ledger.calls import Post
from tests.ledger.conftest import Desk, account, open_desk, reservation
from tests.servers import start_postgres, start_valkey

ACCOUNTS = (1, 4, 10)
CALLERS = (1, 16, 64)
_GROUP = 64
_GROUPS = 60
_REBUILT = 10_000
_LONE = 300
_LIMIT_NANOUSD = 10**15


def _median_us(times: list[float]) -> float:
    return round(statistics.median(times) * 1e6, 1)


async def _timed(work: Callable[[], Awaitable[Any]], times: int) -> float:
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        await work()
        found.append(time.perf_counter() - begun)
        await asyncio.sleep(0.001)
    return _median_us(found)


async def reservations_per_second(desk: Desk) -> dict[str, Any]:
    """Through one Valkey, in pipelines of 64; and the server's own CPU for each."""
    client = aioredis.Redis.from_url(desk.redis_url)
    await desk.sidecar().warm()
    generation = await desk.database.fetchval("SELECT spendra.current_generation($1)", desk.org_id)
    balances = desk.closing[-2]
    found = {}
    for count in ACCOUNTS:
        accounts = [account(f"bud_{count}_{n}", _LIMIT_NANOUSD) for n in range(count)]
        await balances.seed(generation, [Total(each.id, 0, 0) for each in accounts])
        groups = [[reservation(1000, *accounts) for _ in range(_GROUP)] for _ in range(_GROUPS)]
        posts = [[Post(r.id, 10, 5) for r in group] for group in groups]
        found[f"{count} accounts"] = {
            "reserve": await _paced(client, groups, partial(balances.reserve, generation)),
            "post": await _paced(client, posts, partial(balances.post, generation)),
        }
    await client.aclose()
    return found


async def _paced(
    client: Any, groups: list[Any], work: Callable[[Any], Awaitable[Any]]
) -> dict[str, float]:
    """Two pipelines under way at a time, so that the server never waits for its caller."""
    waiting = list(groups)

    async def lane() -> None:
        while waiting:
            await work(waiting.pop())

    before, begun = await _server_cpu_s(client), time.perf_counter()
    await asyncio.gather(lane(), lane())
    took = time.perf_counter() - begun
    calls = sum(map(len, groups))
    cpu_us = (await _server_cpu_s(client) - before) / calls * 1e6
    return {"per_second": round(calls / took), "server_cpu_us": round(cpu_us, 1)}


async def _server_cpu_s(client: Any) -> float:
    told = await client.info("cpu")
    return float(told["used_cpu_user"] + told["used_cpu_sys"])


async def durable_write(desk: Desk) -> dict[str, float]:
    """What one reservation waits for in Postgres, beside what any commit costs there."""
    ledger = desk.sidecar()
    await ledger.warm()
    generation = await desk.database.fetchval("SELECT spendra.current_generation($1)", desk.org_id)
    books, tight = desk.closing[-1], account("lone", _LIMIT_NANOUSD)
    database = desk.database
    await database.execute("CREATE TABLE one_row (id bigserial PRIMARY KEY, text text)")
    insert = "INSERT INTO one_row (text) VALUES (repeat('x', 100))"
    return {
        "round_trip_us": await _timed(lambda: database.fetchval("SELECT 1"), _LONE),
        "bare_durable_insert_us": await _timed(lambda: database.execute(insert), _LONE),
        "durable_reservation_us": await _timed(
            lambda: books.reserve(generation, [reservation(1000, tight)]), _LONE
        ),
        "whole_reserve_us": await _timed(lambda: ledger.reserve(reservation(1000, tight)), _LONE),
    }


async def rebuild(desk: Desk) -> dict[str, float]:
    """From a flushed Valkey to the first reservation held again, over 10,000 accounts."""
    ledger = desk.sidecar()
    await ledger.reserve(reservation(1000, account("first", _LIMIT_NANOUSD)))
    await desk.database.execute(
        "INSERT INTO spendra.accounts (org_id, account_id, budget_id, window_start, window_end) "
        "SELECT $1, 'many_' || n || '@0', 'many_' || n, now() - interval '1 day', "
        "now() + interval '1 day' FROM generate_series(1, $2::integer) AS n",
        desk.org_id, _REBUILT,
    )  # fmt: skip
    client = aioredis.Redis.from_url(desk.redis_url)
    times = []
    for _ in range(5):
        await client.flushall()
        begun = time.perf_counter()
        await ledger.reserve(reservation(1000, account("first", _LIMIT_NANOUSD)))
        times.append(time.perf_counter() - begun)
    await client.aclose()
    return {"accounts": _REBUILT, "ms": round(statistics.median(times) * 1000, 1)}


async def _alone() -> dict[str, Any]:
    postgres, valkey = await asyncio.to_thread(lambda: (start_postgres(), start_valkey()))
    try:
        url = await asyncio.to_thread(postgres.create_database, "bench")
        await asyncio.to_thread(postgres.install, url)
        found = {}
        for measure in (reservations_per_second, durable_write, rebuild):
            with tempfile.TemporaryDirectory() as folder:
                async with open_desk(url, valkey.url, Path(folder)) as desk:
                    found[measure.__name__] = await measure(desk)
        return found
    finally:
        await asyncio.to_thread(lambda: (postgres.stop(), valkey.stop()))


def commits_per_request(place: Path) -> dict[str, float]:
    """Of all of Postgres, through a whole sidecar; those of an idle product taken off."""
    tools = load.build(place / "load")
    upstream = Upstream(tools, free_port())
    upstream.start()
    gateway = spendra.start(place / "spendra", Ports(upstream.port, free_port()))
    up = json.loads((place / "spendra/.spendra/up.json").read_text())
    try:
        load.whole(tools, gateway, callers=4, seconds=1)
        idle = _commits(up, lambda: time.sleep(5)) / 5
        return {
            f"{callers} callers": _per_request(tools, gateway, up, callers, idle)
            for callers in CALLERS
        }
    finally:
        gateway.stop()
        upstream.stop()


def _per_request(tools: Any, gateway: Any, up: dict[str, Any], callers: int, idle: float) -> float:
    seen: dict[str, Any] = {}
    begun = time.monotonic()
    work = lambda: seen.update(load.whole(tools, gateway, callers=callers, seconds=4))  # noqa: E731
    commits = _commits(up, work) - idle * (time.monotonic() - begun)
    return round(commits / (seen["answers"] + seen["warmup_answers"]), 2)


def _commits(up: dict[str, Any], work: Callable[[], object]) -> int:
    before = asyncio.run(_committed(up))
    work()
    time.sleep(1.5)  # Postgres publishes its counters once a second.
    return asyncio.run(_committed(up)) - before


async def _committed(up: dict[str, Any]) -> int:

    connection = await asyncpg.connect(up["database_url"])
    try:
        count: int = await connection.fetchval(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        )
        return count
    finally:
        await connection.close()


def main() -> None:
    place = Path(".bench/ledger").resolve()
    place.mkdir(parents=True, exist_ok=True)
    found = uvloop.run(_alone()) | {"commits_per_request": commits_per_request(place)}
    json.dump(found, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
