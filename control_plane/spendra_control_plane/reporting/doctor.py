"""What an operator would look at first, looked at: each thing well, worth a look, or failing."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

from spendra.money import nanousd_to_usd
from spendra_control_plane.migrate import MigrationError, pending
from spendra_control_plane.snapshots.sidecars import Sidecars
from spendra_control_plane.stores.postgres import Pool, Row, StoreError
from spendra_control_plane.stores.redis import Floor, FloorError
from spendra_control_plane.stores.sql import statements

SQL = statements("doctor")
OLDEST_POSTGRES: Final = 150_000
_MOST_SKEW_S: Final = 1.0
_MOST_WORKER_AGE_S: Final = 60.0
_MOST_GUESSED_PARTS: Final = 20
"""A twentieth of what was spent may be booked at a worst case before it is worth a look."""
_MOST_SIDECARS: Final = 1000
_STATES: Final = ("current", "behind", "refused", "disconnected")


class Check(NamedTuple):
    name: str
    state: Literal["well", "look", "failing"]
    detail: str


class Patient(NamedTuple):
    """What is looked at."""

    pool: Pool
    floor: Floor
    sidecars: Sidecars
    org_id: str


async def examine(patient: Patient) -> dict[str, Any]:
    """`state`: failing when a check is."""
    checks = [await _safely(look, patient) for look in _LOOKS]
    failing = any(check.state == "failing" for check in checks)
    state = "failing" if failing else "well"
    return {"state": state, "checks": [check._asdict() for check in checks]}


async def _safely(look: Callable[[Patient], Awaitable[Check]], patient: Patient) -> Check:
    name = look.__name__.strip("_")
    try:
        return await look(patient)
    except (*StoreError, *FloorError) as error:
        return Check(name, "failing", f"it does not answer: {type(error).__name__}")


async def _one(patient: Patient, name: str, *values: object) -> Row:
    """Of a statement that answers with one row."""
    row = await patient.pool.fetchrow(SQL[name], *values)
    assert row is not None  # noqa: S101 - an aggregate, or no table at all
    return row


async def _postgres(patient: Patient) -> Check:
    row = await _one(patient, "postgres")
    said = f"{row['version']}, synchronous_commit {row['synchronous_commit']}"
    if row["number"] < OLDEST_POSTGRES:
        return Check("postgres", "failing", f"{said}: at least 15 is needed")
    if not row["is_durable"] or row["synchronous_commit"] in {"off", "local"}:
        return Check("postgres", "failing", f"{said}: what is committed may be lost")
    return Check("postgres", "well", said)


async def _migrations(patient: Patient) -> Check:
    try:
        async with patient.pool.acquire() as connection:
            behind = await pending(connection)
    except MigrationError as error:
        return Check("migrations", "failing", str(error))
    if behind:
        return Check("migrations", "failing", f"{len(behind)} are missing: run `spendra migrate`")
    return Check("migrations", "well", "all are there")


async def _redis(patient: Patient) -> Check:
    facts = await patient.floor.facts()
    if facts is None:
        return Check("redis", "well", "a Cluster; its nodes are not looked at one by one")
    said = f"{facts.version}, maxmemory-policy {facts.eviction}"
    if facts.eviction not in {"noeviction", "unknown"}:
        return Check("redis", "failing", f"{said}: balances could be dropped; set noeviction")
    return Check("redis", "well", said)


async def _clock(patient: Patient) -> Check:
    row = await _one(patient, "postgres")
    facts, now = await patient.floor.facts(), datetime.now(UTC)
    skews = {"postgres": abs((row["now"] - now).total_seconds())}
    if facts is not None:
        skews["redis"] = abs(facts.now_s - now.timestamp())
    said = ", ".join(f"{name} {skew:.3f} s" for name, skew in skews.items())
    state: Literal["well", "look"] = "well" if max(skews.values()) < _MOST_SKEW_S else "look"
    return Check("clock", state, f"away from this process's: {said}")


async def _sidecars(patient: Patient) -> Check:
    found = await patient.sidecars.page(patient.org_id, "", _MOST_SIDECARS)
    named = {state: [one["id"] for one in found if one["state"] == state] for state in _STATES}
    said = ", ".join(f"{len(ids)} {state}" for state, ids in named.items() if ids) or "none"
    if named["refused"]:
        names = ", ".join(named["refused"][:5])
        return Check("sidecars", "failing", f"{said}; the newest policies are refused by {names}")
    well = bool(named["current"]) and not named["behind"]
    return Check("sidecars", "well" if well else "look", said)


async def _worker(patient: Patient) -> Check:
    row = await patient.pool.fetchrow(SQL["worker"], patient.org_id)
    if row is None or row["whole_at"] is None:
        return Check("worker", "failing", "none has been here: start `spendra worker`")
    said = f"its last look is {row['age_s']:.0f} s ago"
    late = row["age_s"] > _MOST_WORKER_AGE_S
    return Check("worker", "failing" if late else "well", said)


async def _lost(patient: Patient) -> Check:
    row = await _one(patient, "lost", patient.org_id)
    if not row["reservations"]:
        return Check("lost", "well", "nothing is lost")
    said = f"{row['reservations']} reservations of ${nanousd_to_usd(row['held_nanousd'])}"
    return Check("lost", "look", f"{said} stay held until they are ended")


async def _drift(patient: Patient) -> Check:
    row = await _one(patient, "repairs", patient.org_id)
    if not row["repairs"]:
        return Check("drift", "well", "none in a day")
    return Check("drift", "look", f"repaired {row['repairs']} times in a day, last {row['last']}")


async def _deliveries(patient: Patient) -> Check:
    dead = await patient.pool.fetchval(SQL["dead_deliveries"], patient.org_id)
    said = f"{dead} notices could not be delivered"
    return Check("deliveries", "look" if dead else "well", said)


async def _prices(patient: Patient) -> Check:
    rows = await patient.pool.fetch(SQL["unpriced"], patient.org_id)
    if rows:
        names = ", ".join(f"{row['provider']}/{row['model']}" for row in rows)
        return Check("prices", "look", f"asked for in a week and without a price: {names}")
    row = await _one(patient, "guessed", patient.org_id)
    guessed = nanousd_to_usd(row["guessed_nanousd"])
    said = f"${guessed} of ${nanousd_to_usd(row['cost_nanousd'])} in a week is a worst case"
    much = row["guessed_nanousd"] * _MOST_GUESSED_PARTS > row["cost_nanousd"]
    return Check("prices", "look" if much else "well", said)


_LOOKS: Final = (
    _postgres, _migrations, _redis, _clock, _worker, _sidecars, _drift, _lost, _prices,
    _deliveries,
)  # fmt: skip
