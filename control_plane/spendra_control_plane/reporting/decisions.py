"""The trail of one decision: every attempt, what each was held at, and what it came to."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from spendra.scopes import ROUTED_FROM
from spendra_control_plane.access.callers import Seen, require_within
from spendra_control_plane.authoring.amounts import amount
from spendra_control_plane.authoring.refusals import refuse_missing
from spendra_control_plane.record import adjustments
from spendra_control_plane.stores.postgres import Connection, Pool, Row
from spendra_control_plane.stores.sql import statements

SQL = statements("reporting")
TOKENS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)
AMOUNTS = ("estimated_nanousd", "reserved_nanousd", "cost_nanousd", "overrun_nanousd")
_OPEN_STATES = ("lost", "reserved")


async def decision(pool: Pool, seen: Seen, decision_id: str) -> dict[str, Any]:
    """Raises Refusal when there is none of that id."""
    parsed, org_id = _parse(decision_id), seen.org_id
    async with pool.acquire() as connection:
        attempts = await connection.fetch(SQL["attempts"], org_id, parsed)
        refusal = await connection.fetchrow(SQL["refusal"], org_id, parsed)
        known = attempts[0] if attempts else refusal
        if known is None:
            refuse_missing("decision", decision_id)
        await require_within(connection, seen, known["facts"], ("decision", decision_id))
        if attempts:
            return await _tried(connection, org_id, attempts, refusal)
        assert refusal is not None  # noqa: S101 - one of the two is known
        return await _refused(connection, org_id, refusal)


def _parse(decision_id: str) -> UUID:
    try:
        return UUID(decision_id)
    except ValueError:
        refuse_missing("decision", decision_id)


async def budgets_of(
    connection: Connection, org_id: str, accounts: Iterable[str]
) -> dict[str, dict[str, str]]:
    """The budget of each account: its id, name and account."""
    ids = {account: account.partition("@")[0] for account in accounts}
    rows = await connection.fetch(SQL["budget_names"], org_id, list(set(ids.values())))
    names = {row["id"]: row["name"] for row in rows}
    return {
        account: {"id": budget, "name": names.get(budget, ""), "account_id": account}
        for account, budget in ids.items()
    }


def usage(row: Row) -> dict[str, int]:
    return {name: row[name] for name in TOKENS}


def amounts(row: Row) -> dict[str, int | str | None]:
    """Each amount of an attempt, as an integer and as dollars."""
    shown: dict[str, int | str | None] = {}
    for column in AMOUNTS:
        shown |= amount(column.removesuffix("_nanousd"), row[column])
    return shown


async def _tried(
    connection: Connection, org_id: str, attempts: Sequence[Row], refusal: Row | None
) -> dict[str, Any]:
    """Costs and usage are sums over the attempts; the rest is of the last one."""
    first, last = attempts[0], attempts[-1]
    accounts = dict.fromkeys(account for row in attempts for account in row["account_ids"])
    budgets = await budgets_of(connection, org_id, accounts)
    corrected = await adjustments.of_decisions(connection, org_id, [last["decision_id"]])
    return {
        "id": str(last["decision_id"]),
        "state": _state(attempts),
        "reason": refusal["reason"] if refusal else last["reason"],
        "message": refusal["message"] if refusal else "",
        **{name: last[name] for name in ("provider", "model")},
        "requested_model": _asked_for(first),
        "usage": {name: sum(row[name] for row in attempts) for name in TOKENS},
        "usage_confidence": last["usage_confidence"],
        **amount("estimated", first["estimated_nanousd"]),
        **{k: v for name in ("reserved", "cost", "overrun") for k, v in _total(attempts, name)},
        **amount("adjusted", sum(each["amount_nanousd"] for each in corrected)),
        "budgets": list(budgets.values()),
        "policy_version": last["policy_version"],
        "price_version": last["price_version"],
        "scope": last["facts"],
        "retry_count": first["retry_count"],
        "retry_of": first["retry_of"],
        "attempts": [_attempt(row) for row in attempts],
        "adjustments": corrected,
    }


def _asked_for(first: Row) -> str:
    """The model that the caller named, which a policy may have had served by another."""
    (model,) = first["facts"].get(ROUTED_FROM) or [first["requested_model"]]
    return str(model)


def _total(attempts: Sequence[Row], name: str) -> Iterable[tuple[str, int | str | None]]:
    return amount(name, sum(row[f"{name}_nanousd"] for row in attempts)).items()


def _state(attempts: Sequence[Row]) -> str:
    states = [row["state"] for row in attempts]
    return next((state for state in (*_OPEN_STATES, "posted") if state in states), "voided")


def _attempt(row: Row) -> dict[str, Any]:
    plain = (
        "attempt",
        "reservation_id",
        "state",
        "reason",
        "sidecar_id",
        "provider",
        "model",
        "upstream_status",
        "usage_confidence",
        "reserved_at",
        "settled_at",
    )
    return {**{name: row[name] for name in plain}, "usage": usage(row), **amounts(row)}


async def _refused(connection: Connection, org_id: str, row: Row) -> dict[str, Any]:
    budgets = await budgets_of(connection, org_id, row["account_ids"])
    plain = ("reason", "message", "provider", "requested_model", "policy_version", "refused_at")
    return {
        "id": str(row["decision_id"]),
        "state": "refused",
        "status": row["status"],
        **{name: row[name] for name in plain},
        "model": row["requested_model"],
        "usage": dict.fromkeys(TOKENS, 0),
        "usage_confidence": "none",
        **amount("estimated", row["estimated_nanousd"]),
        **amount("wanted", row["wanted_nanousd"]),
        **amount("reserved", 0),
        **amount("cost", 0),
        "budgets": list(budgets.values()),
        "scope": row["facts"],
        "attempts": [],
        "adjustments": [],
    }
