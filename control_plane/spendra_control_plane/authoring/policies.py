"""Policies: rules for the requests that a selector matches."""

from collections.abc import Mapping
from typing import Any

import msgspec

from spendra.snapshot import Rules, Selector
from spendra_control_plane.authoring import editions
from spendra_control_plane.authoring.amounts import amount
from spendra_control_plane.authoring.organizations import new_id
from spendra_control_plane.authoring.refusals import refuse_conflict, refuse_missing
from spendra_control_plane.snapshots.publish import Publisher
from spendra_control_plane.stores.postgres import Connection, Pool, Row
from spendra_control_plane.stores.sql import statements

SQL = statements("policies")


async def create(
    publisher: Publisher, org_id: str, name: str, selector: Selector, rules: Rules
) -> dict[str, Any]:
    policy_id = new_id("pol")
    async with publisher.change(org_id) as change:
        change.restricts = True
        await change.connection.execute(
            SQL["insert"], org_id, policy_id, name, selector, msgspec.to_builtins(rules)
        )
        return _view(await _read(change.connection, org_id, policy_id))


async def edit(
    publisher: Publisher,
    org_id: str,
    policy_id: str,
    edits: Mapping[str, object],
    if_match: str | None = None,
) -> dict[str, Any]:
    """`edits` may hold `name`, `selector` and `rules`, each of which replaces the old."""
    async with publisher.change(org_id) as change:
        change.restricts = True
        new = {**await _read_open(change.connection, org_id, policy_id, if_match), **edits}
        rules = msgspec.to_builtins(new["rules"])
        await change.connection.execute(
            SQL["edit"], org_id, policy_id, new["name"], new["selector"], rules
        )
        return _view(await _read(change.connection, org_id, policy_id))


async def roll_back(
    publisher: Publisher, org_id: str, policy_id: str, version: int, if_match: str | None = None
) -> dict[str, Any]:
    """Name, scope and rules of an earlier version are in force again, as a version of their own."""
    async with publisher.change(org_id) as change:
        change.restricts = True
        await _read_open(change.connection, org_id, policy_id, if_match)
        was = await change.connection.fetchval(SQL["version"], org_id, policy_id, version)
        if was is None:
            refuse_missing("version of this policy", str(version))
        await change.connection.execute(
            SQL["edit"], org_id, policy_id, was["name"], was["selector"], was["rules"]
        )
        return _view(await _read(change.connection, org_id, policy_id))


async def versions(
    pool: Pool, org_id: str, policy_id: str, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """The newest first, each with what it changed."""
    async with pool.acquire() as connection:
        await _read(connection, org_id, policy_id)
        rows = await connection.fetch(SQL["versions"], org_id, policy_id, before, limit)
    return [_version(row) for row in rows]


async def close(
    publisher: Publisher, org_id: str, policy_id: str, if_match: str | None = None
) -> dict[str, Any]:
    """It no longer speaks; its row stays."""
    async with publisher.change(org_id) as change:
        change.restricts = True
        await _read_open(change.connection, org_id, policy_id, if_match)
        await change.connection.execute(SQL["close"], org_id, policy_id)
        return _view(await _read(change.connection, org_id, policy_id))


async def get(pool: Pool, org_id: str, policy_id: str) -> dict[str, Any]:
    async with pool.acquire() as connection:
        return _view(await _read(connection, org_id, policy_id))


async def page(
    pool: Pool, org_id: str, state: str | None, after: str, limit: int
) -> list[dict[str, Any]]:
    return [_view(row) for row in await pool.fetch(SQL["page"], org_id, state, after, limit)]


async def _read(connection: Connection, org_id: str, policy_id: str) -> Row:
    row = await connection.fetchrow(SQL["get"], org_id, policy_id)
    if row is None:
        refuse_missing("policy", policy_id)
    return row


async def _read_open(
    connection: Connection, org_id: str, policy_id: str, if_match: str | None
) -> Row:
    row = await _read(connection, org_id, policy_id)
    if row["state"] == "closed":
        refuse_conflict(f"The policy {policy_id!r} is closed; create a new one.")
    editions.check(if_match, _view(row))
    return row


def _view(row: Row) -> dict[str, Any]:
    columns = {name: value for name, value in row.items() if name not in {"selector", "rules"}}
    return {**columns, "scope": row["selector"], "rules": _rules_view(row["rules"])}


def _rules_view(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Only what the policy says something about."""
    said = {name: value for name, value in stored.items() if value is not None}
    for name in ("max_request", "review_above"):
        if f"{name}_nanousd" in said:
            said |= amount(name, said[f"{name}_nanousd"])
    return said


def _version(row: Row) -> dict[str, Any]:
    now, was = _content(row["after"]), _content(row["before"] or {})
    return {
        **{name: row[name] for name in ("version", "happened_at", "actor", "reason")},
        **now,
        "changed": {
            name: {"from": was.get(name), "to": value}
            for name, value in now.items()
            if was.get(name) != value
        },
    }


def _content(audited: Mapping[str, Any]) -> dict[str, Any]:
    """Of a row as the audit has it."""
    if not audited:
        return {}
    return {
        "name": audited["name"],
        "state": audited["state"],
        "scope": audited["selector"],
        "rules": _rules_view(audited["rules"]),
    }
