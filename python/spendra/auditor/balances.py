"""Invariant 2: the live balances against Postgres, while both move.

Postgres is read before and after one instant of Redis. What was taken before, and still is taken
or was settled after, must be in Redis at that instant; what Redis shows as settled must be in
Postgres afterwards. A settlement above its hold reaches Postgres first, so a difference counts
only when three looks in a row show it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from spendra.auditor.findings import Finding
from spendra.auditor.stores import Database, Redis, snapshot, statements, text
from spendra.balances import keys

LOOKS = 3
STRAY_AFTER_MS = 60_000
"""A hold this old whose reservation is not open should have been ended by the worker."""


class Hold(NamedTuple):
    nanousd: int
    accounts: tuple[str, ...]
    since_ms: int = 0


class Booked(NamedTuple):
    """One instant of Postgres. `settled` by account, `open` by reservation."""

    generation: str | None
    settled: Mapping[str, int]
    open: Mapping[str, Hold]


class Live(NamedTuple):
    """One instant of Redis. `generation` is empty when Redis lost it."""

    generation: str
    now_ms: int
    records: Mapping[str, Hold]
    taken: Mapping[str, int]
    settled: Mapping[str, int]


class Look(NamedTuple):
    """`costs`: of what was open before or held in Redis, and has ended since."""

    before: Booked
    live: Live
    after: Booked
    costs: Mapping[str, int]


async def compare(
    database: Database, redis: Redis, org_id: str, *, idle: bool = False
) -> list[Finding]:
    """Nothing when Redis has no balances of the current generation: then nothing can be reserved.

    The figure `drift_nanousd` is how far Redis is above (or, negative, below) what it should show.
    """
    found: dict[tuple[str, str], Finding] = {}
    for attempt in range(LOOKS):
        look = await _look(database, redis, org_id)
        seen = {(f.kind, f.subject): f for f in judge(org_id, look, idle=idle)} if look else {}
        found = {key: f for key, f in seen.items() if attempt == 0 or key in found}
        if not found:
            break
    return list(found.values())


def judge(org_id: str, look: Look, *, idle: bool) -> Iterator[Finding]:
    """What one look shows to be wrong."""
    live, expected = look.live, _at_least(look)
    held = _by_account(look.live.records.values())
    for account, taken in live.taken.items():
        settled = live.settled.get(account, 0)
        booked = look.after.settled.get(account)
        figures = {"taken_nanousd": taken, "settled_nanousd": settled}
        if account in expected and taken < expected[account]:
            yield _drift(
                org_id, "redis_below_postgres", account, taken - expected[account], figures
            )
        if taken - settled != held[account]:
            drift = taken - settled - held[account]
            yield _drift(org_id, "redis_disagrees_with_itself", account, drift, figures)
        if booked is not None and (settled > booked or (idle and settled != booked)):
            yield _drift(org_id, "settled_differs", account, settled - booked, figures)
    yield from _strays(org_id, look, idle=idle)


def _strays(org_id: str, look: Look, *, idle: bool) -> Iterator[Finding]:
    latest = look.live.now_ms - (0 if idle else STRAY_AFTER_MS)
    for reservation, hold in look.live.records.items():
        is_open = reservation in look.after.open or reservation in look.before.open
        if not is_open and (idle or hold.since_ms < latest):
            cost = look.costs.get(reservation, 0)
            yield _drift(
                org_id, "stray_hold", reservation, hold.nanousd - cost, {"cost_nanousd": cost}
            )
    if idle:
        for reservation in look.after.open.keys() - look.live.records.keys():
            missing = -look.after.open[reservation].nanousd
            yield _drift(org_id, "hold_missing", reservation, missing, {})


def _drift(
    org_id: str, kind: str, subject: str, drift_nanousd: int, figures: Mapping[str, int]
) -> Finding:
    return Finding(2, kind, org_id, subject, {"drift_nanousd": drift_nanousd, **figures})


def _at_least(look: Look) -> Counter[str]:
    """What Redis must have shown as taken, by account."""
    least = Counter(look.before.settled)
    for reservation, hold in look.before.open.items():
        kept = min(hold.nanousd, look.costs.get(reservation, hold.nanousd))
        for account in hold.accounts:
            if account in look.before.settled:
                least[account] += kept
    return least


def _by_account(holds: Iterable[Hold]) -> Counter[str]:
    held: Counter[str] = Counter()
    for hold in holds:
        for account in hold.accounts:
            held[account] += hold.nanousd
    return held


async def _look(database: Database, redis: Redis, org_id: str) -> Look | None:
    """None when there is nothing to compare, or a rebuild came between."""
    before = await _booked(database, org_id)
    if before.generation is None:
        return None
    live = await _live(redis, org_id, before.generation)
    after = await _booked(database, org_id)
    if not live.generation == before.generation == after.generation:
        return None
    ended = (before.open.keys() | live.records.keys()) - after.open.keys()
    rows = await database.fetch(statements("balances")["costs"], org_id, list(ended))
    return Look(before, live, after, {row["id"]: row["cost_nanousd"] for row in rows})


async def _booked(database: Database, org_id: str) -> Booked:
    sql = statements("balances")
    async with snapshot(database):
        generation = await database.fetchval(sql["generation"], org_id)
        settled = await database.fetch(sql["settled"], org_id)
        opened = await database.fetch(sql["open"], org_id)
    return Booked(
        generation,
        {row["account_id"]: row["settled_nanousd"] for row in settled},
        {row["id"]: Hold(row["reserved_nanousd"], tuple(row["account_ids"])) for row in opened},
    )


async def _live(redis: Redis, org_id: str, generation: str) -> Live:
    names = keys(org_id, generation)
    wanted = (names.generation, names.records, names.taken, names.settled)
    answer = await redis.eval(text("balances.lua"), len(wanted), *wanted)
    found, now_ms, records, taken, settled = answer
    return Live(
        _text(found),
        int(now_ms),
        {_text(key): _hold(_text(value)) for key, value in _pairs(records)},
        {_text(key): int(value) for key, value in _pairs(taken)},
        {_text(key): int(value) for key, value in _pairs(settled)},
    )


def _pairs(flat: list[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _hold(record: str) -> Hold:
    """The amount and the time come first, the accounts last."""
    amount, since, *_rest, accounts = record.split(":")
    return Hold(int(amount), tuple(filter(None, accounts.split(","))), int(since))
