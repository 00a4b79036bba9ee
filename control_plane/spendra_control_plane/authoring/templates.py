"""Templates: budgets that each person of a tier gets, and loses with the tier."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec

from spendra_control_plane.authoring import budgets, editions
from spendra_control_plane.authoring.amounts import amount
from spendra_control_plane.authoring.budgets import Draft
from spendra_control_plane.authoring.refusals import refuse_missing
from spendra_control_plane.snapshots.publish import Change, Publisher
from spendra_control_plane.stores.postgres import Connection, Pool, Row
from spendra_control_plane.stores.sql import statements

SQL = statements("templates")
_SCOPES = statements("scopes")
_EDITABLE = frozenset({"limit_nanousd", "kind", "open_up_to_nanousd", "alert_at_percent"})
_LONGEST_NAME = 200


class _Made(NamedTuple):
    """For whom, by which template."""

    tier: str
    name: str
    person: str


async def put(
    publisher: Publisher, org_id: str, tier: str, drafts: list[Draft], if_match: str | None = None
) -> dict[str, Any]:
    """What changed in it changes in each budget that was made of it; the others are left alone.

    `drafts` have names of their own, and selectors without a person. Raises Refusal.
    """
    async with publisher.change(org_id) as change:
        connection = change.connection
        if await connection.fetchval(_SCOPES["state"], org_id, "tier", tier) is None:
            refuse_missing("tier", tier)
        row = await connection.fetchrow(SQL["get"], org_id, tier)
        editions.check(if_match, _view(row) if row is not None else {})
        new = {draft.name: draft for draft in drafts}
        await connection.execute(SQL["put"], org_id, tier, msgspec.to_builtins(new))
        await _follow(change, tier, _drafts(row), new)
        return await _read(connection, org_id, tier)


async def remove(publisher: Publisher, org_id: str, tier: str) -> None:
    """The budgets that were made of it close."""
    async with publisher.change(org_id) as change:
        row = await change.connection.fetchrow(SQL["get"], org_id, tier)
        if row is None:
            refuse_missing("budget template of the tier", tier)
        await change.connection.execute(SQL["delete"], org_id, tier)
        await _follow(change, tier, _drafts(row), {})


async def get(pool: Pool, org_id: str, tier: str) -> dict[str, Any]:
    async with pool.acquire() as connection:
        return await _read(connection, org_id, tier)


async def page(pool: Pool, org_id: str, after: str, limit: int) -> list[dict[str, Any]]:
    return [_view(row) for row in await pool.fetch(SQL["page"], org_id, after, limit)]


async def follow_person(change: Change, person: str) -> None:
    """Their tier may be another: they get what is its, and lose what was the other's."""
    row = await change.connection.fetchrow(SQL["of_person"], change.org_id, person)
    drafts = _drafts(row)
    tier = row["tier"] if row is not None else ""
    wanted = {_Made(tier, name, person): draft for name, draft in drafts.items()}
    await _make(change, wanted, await _made(change, None, person), drafts)


async def _follow(
    change: Change, tier: str, old: Mapping[str, Draft], new: Mapping[str, Draft]
) -> None:
    people = await change.connection.fetch(SQL["people"], change.org_id, tier)
    wanted = {
        _Made(tier, name, row["name"]): draft for name, draft in new.items() for row in people
    }
    await _make(change, wanted, await _made(change, tier, None), old)


async def _made(change: Change, tier: str | None, person: str | None) -> dict[_Made, str]:
    rows = await change.connection.fetch(SQL["made"], change.org_id, tier, person)
    return {_Made(row["tier"], row["name"], row["person"]): row["budget_id"] for row in rows}


async def _make(
    change: Change, wanted: Mapping[_Made, Draft], made: Mapping[_Made, str],
    old: Mapping[str, Draft],
) -> None:  # fmt: skip
    """`old`: what those that are there were made of."""
    kept = set()
    for one, budget_id in made.items():
        before, after = old.get(one.name), wanted.get(one)
        if before is None or after is None or not _is_edit(before, after):
            await budgets.shut(change, budget_id)
            continue
        kept.add(one)
        if edits := _edits(before, after):
            await budgets.apply(change, budget_id, edits)
    for one, draft in wanted.items():
        if one not in kept:
            budget_id = await budgets.insert(change, _for(one.person, draft))
            await change.connection.execute(SQL["note"], change.org_id, *one, budget_id)


def _is_edit(before: Draft, after: Draft) -> bool:
    """Whether a budget can become the other."""
    return replace(before, **_edits(before, after)) == after


def _edits(before: Draft, after: Draft) -> dict[str, Any]:
    return {
        name: getattr(after, name)
        for name in _EDITABLE
        if getattr(before, name) != getattr(after, name)
    }


def _for(person: str, draft: Draft) -> Draft:
    name = f"{draft.name}: {person}"[:_LONGEST_NAME]
    return replace(draft, name=name, selector={**draft.selector, "person": [person]})


def _drafts(row: Row | None) -> dict[str, Draft]:
    return {} if row is None else msgspec.convert(row["budgets"], dict[str, Draft])


async def _read(connection: Connection, org_id: str, tier: str) -> dict[str, Any]:
    row = await connection.fetchrow(SQL["get"], org_id, tier)
    if row is None:
        refuse_missing("budget template of the tier", tier)
    return _view(row)


def _view(row: Row) -> dict[str, Any]:
    shown = [
        {
            "name": draft.name,
            "scope": draft.selector,
            "period": draft.period,
            "timezone": draft.timezone,
            "starts_at": draft.starts_at,
            "ends_at": draft.ends_at,
            "kind": draft.kind,
            **amount("limit", draft.limit_nanousd),
            **amount("open_up_to", draft.open_up_to_nanousd),
            "alert_at_percent": draft.alert_at_percent,
        }
        for draft in _drafts(row).values()
    ]
    return {
        "tier": row["tier"],
        "budgets": shown,
        "people": row["people"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }
