"""A long ledger: how long its pages take, and what a month of it as CSV costs in memory.

python -m benches.history [EVENTS]

Ten million events over the last three months unless told otherwise, written as settling leaves
them (`history.sql`), summed up by the worker's own rollups, and asked of a control plane that is a
process of its own. Takes about half an hour and 20 GB of disk. Prints JSON.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil

from spendra_control_plane.stores.postgres import open_pool
from spendra_control_plane.worker.retirement import Keeping, retire
from spendra_control_plane.worker.rolling import roll_up
from spendra_control_plane.worker.sealing import Sealer, horizon
from tests.control_plane.running import (
    ControlPlane,
    Organization,
    found_organization,
    migrate,
    settings,
    start_control_plane,
)
from tests.servers import start_postgres, start_valkey

EVENTS = 10_000_000
KEYS = 1_000
TEAMS = 40
STEP = 100_000
ROUNDS = 5
FILL = Path(__file__).with_suffix(".sql").read_text("utf-8")
Log = Callable[[str], None]


def _month(moment: datetime, back: int) -> datetime:
    """The first of the month that many months before."""
    months = moment.year * 12 + moment.month - 1 - back
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


async def _fill(url: str, org: str, events: int, log: Log) -> dict[str, Any]:
    connection = await asyncpg.connect(url, timeout=10)
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = _month(end, 2)
    await connection.execute("SELECT spendra.make_partitions($1, 2)", start.date())
    budgets = [("bud_all", "{}")] + [
        (f"bud_team-{n}", json.dumps({"team": [f"team-{n}"]})) for n in range(TEAMS)
    ]
    await connection.executemany(
        "INSERT INTO spendra.budgets (org_id, id, name, selector, period, limit_nanousd, kind) "
        "VALUES ($1, $2, $2, $3::jsonb, 'month', 1000000000000000, 'hard')",
        [(org, name, selector) for name, selector in budgets],
    )
    begun = time.perf_counter()
    for first in range(0, events, STEP):
        last = min(first + STEP, events)
        await connection.execute(FILL, org, first, last, events, start, end, KEYS, timeout=600)
        if last % (10 * STEP) == 0:
            log(f"{last:,} events")
    filled_s = time.perf_counter() - begun
    await connection.execute("VACUUM ANALYZE", timeout=3600)
    size = await connection.fetchval("SELECT pg_database_size(current_database())")
    await connection.close()
    return {"events": events, "written_s": round(filled_s), "database_bytes": size}


async def _roll_up(url: str, org: str) -> dict[str, Any]:
    pool = await open_pool(url, largest=2)
    begun = time.perf_counter()
    while not await roll_up(pool, [org]):
        pass
    took = time.perf_counter() - begun
    rows = await pool.fetchval("SELECT count(*) FROM spendra.spend_rollups")
    totals = await pool.fetchval("SELECT count(*) FROM spendra.spend_totals")
    for table in ("facts", "rollups", "totals"):
        await pool.execute(f"ANALYZE spendra.spend_{table}")
    await pool.close()
    return {"rolled_up_s": round(took), "rows_of_combinations": rows, "rows_of_values": totals}


def _pages(api: httpx.Client) -> dict[str, Any]:
    """Each page's answer time, in milliseconds; the first is with what is cold."""
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    month = {"from": _month(now, 1).isoformat(), "to": _month(now, 0).isoformat()}
    quarter = {"from": _month(now, 2).isoformat(), "to": today.isoformat()}
    last_day = {"from": (today - timedelta(days=1)).isoformat(), "to": today.isoformat()}
    asked: dict[str, tuple[str, dict[str, Any]]] = {}
    for by in ("project", "team", "model", "key", "cost_center", "label:feature", "day"):
        asked[f"a month by {by}"] = ("/v1/spend", {**month, "by": by})
    asked |= {
        "a month by hour": ("/v1/spend", {**month, "by": "hour"}),
        "three months by project": ("/v1/spend", {**quarter, "by": "project"}),
        "three months by day": ("/v1/spend", {**quarter, "by": "day"}),
        "a day by hour": ("/v1/spend", {**last_day, "by": "hour"}),
        "a month of a project by model": (
            "/v1/spend",
            {**month, "by": "model", "scope": "project=project-7"},
        ),
        "a month of a project by feature": (
            "/v1/spend",
            {**month, "by": "label:feature", "scope": "project=project-7"},
        ),
        "budgets": ("/v1/budgets", {}),
        "what a budget has spent": ("/v1/budgets/bud_all/spend", {}),
        "a budget's windows": ("/v1/budgets/bud_all/windows", {}),
        "ledger, newest": ("/v1/ledger", {}),
        "ledger of a month": ("/v1/ledger", month),
        "ledger of a busy key": ("/v1/ledger", {"scope": "key=key-1"}),
        "ledger of a rare key": ("/v1/ledger", {"scope": f"key=key-{KEYS - 1}"}),
        "ledger of a rare key in a month": (
            "/v1/ledger",
            {**month, "scope": f"key=key-{KEYS - 1}"},
        ),
        "ledger of nobody": ("/v1/ledger", {"scope": "key=nobody"}),
    }
    found = {name: _timed(api, path, query) for name, (path, query) in asked.items()}
    page = api.get("/v1/ledger", params=month).json()
    found["ledger, page 2"] = _timed(api, "/v1/ledger", {**month, "cursor": page["next_cursor"]})
    one = page["items"][0]["decision_id"]
    found["one decision"] = _timed(api, f"/v1/decisions/{one}", {})
    return found


def _timed(api: httpx.Client, path: str, query: dict[str, Any]) -> dict[str, float]:
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        answer = api.get(path, params=query)
        times.append((time.perf_counter() - begun) * 1000)
        answer.raise_for_status()
    return {
        "first_ms": round(times[0], 1),
        "median_ms": round(statistics.median(times), 1),
        "most_ms": round(max(times), 1),
    }


def _csv(plane: ControlPlane, api: httpx.Client) -> dict[str, Any]:
    process = psutil.Process(plane.process.pid)
    now = datetime.now(UTC)
    month = {"from": _month(now, 1).isoformat(), "to": _month(now, 0).isoformat()}
    found = {}
    for form in ("finance", "focus"):
        before = most = process.memory_info().rss
        rows = size = 0
        begun = time.perf_counter()
        with api.stream("GET", f"/v1/exports/{form}.csv", params=month) as answer:
            for part in answer.iter_bytes():
                size += len(part)
                rows += part.count(b"\n")
                most = max(most, process.memory_info().rss)
        found[f"{form}.csv of a month"] = {
            "rows": rows - 1,
            "bytes": size,
            "seconds": round(time.perf_counter() - begun, 1),
            "memory_before_bytes": before,
            "memory_grew_by_bytes": most - before,
        }
    return found


async def _retire(url: str, org: str) -> dict[str, Any]:
    """The oldest of the months leaves, once everything is sealed."""
    pool = await open_pool(url, largest=2)
    begun = time.perf_counter()
    upto = await horizon(pool)
    assert upto is not None
    seals = await Sealer(pool).seal_all(org, upto)
    sealed_s = time.perf_counter() - begun
    begun = time.perf_counter()
    await retire(url, Keeping(events=1, refusals=None))
    retired_s = time.perf_counter() - begun
    events = await pool.fetchval("SELECT sum(events)::bigint FROM spendra.retirements")
    await pool.close()
    sealed = {"seals": len(seals), "sealed_s": round(sealed_s)}
    return {**sealed, "retired_events": events, "retired_s": round(retired_s, 1)}


def _measure(plane: ControlPlane, org: Organization, events: int, log: Log) -> dict[str, Any]:
    url = plane.environ["SPENDRA_DATABASE_URL"]
    found = asyncio.run(_fill(url, org.id, events, log))
    log("summing up")
    found |= asyncio.run(_roll_up(url, org.id))
    headers = {"authorization": f"Bearer {org.admin_token}"}
    with httpx.Client(base_url=org.url, headers=headers, timeout=600) as api:
        log("asking for pages")
        found["pages"] = _pages(api)
        log("a month as CSV")
        found |= _csv(plane, api)
    log("sealing, and the oldest month leaves")
    found |= asyncio.run(_retire(url, org.id))
    return found


def main() -> None:
    """Prints JSON."""

    def log(text: str) -> None:
        sys.stderr.write(f"{time.strftime('%X')} {text}\n")

    events = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    postgres, valkey = start_postgres(), start_valkey()
    try:
        environ = settings(postgres.create_database("history"), valkey.url)
        migrate(environ)
        with tempfile.TemporaryDirectory() as place:
            plane = start_control_plane(environ, Path(place) / "log")
            try:
                found = _measure(plane, found_organization(plane), events, log)
                sys.stdout.write(json.dumps(found, indent=1) + "\n")
            finally:
                plane.stop()
    finally:
        valkey.stop()
        postgres.stop()


if __name__ == "__main__":
    main()
