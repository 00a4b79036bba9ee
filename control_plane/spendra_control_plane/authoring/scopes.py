"""The scope registry: teams, projects, people, agents and what they are counted by: one table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spendra_control_plane.authoring import editions, templates
from spendra_control_plane.authoring.refusals import refuse_conflict, refuse_invalid, refuse_missing
from spendra_control_plane.snapshots.ancestry import Parents, Scope, ancestors
from spendra_control_plane.snapshots.compile import read_parents
from spendra_control_plane.snapshots.publish import Change, Publisher
from spendra_control_plane.stores.postgres import Connection, Pool, Row, UniqueViolation
from spendra_control_plane.stores.sql import statements

SQL = statements("scopes")


@dataclass(frozen=True)
class Kind:
    """`parents` maps the field that a person writes to the kind of scope it names."""

    name: str
    parents: Mapping[str, str] = field(default_factory=dict)
    several: frozenset[str] = frozenset()
    """The fields among `parents` that name any number of scopes."""


_TEAMS = frozenset({"teams"})
KINDS = {
    "teams": Kind("team", {"parent": "team", "cost_center": "cost_center"}),
    "projects": Kind("project", {"teams": "team", "cost_center": "cost_center"}, _TEAMS),
    "people": Kind(
        "person", {"teams": "team", "tier": "tier", "cost_center": "cost_center"}, _TEAMS
    ),
    "agents": Kind("agent", {"parent": "agent", "project": "project"}),
    "cost-centers": Kind("cost_center"),
    "tiers": Kind("tier"),
}
"""By the last part of their paths."""


@dataclass(frozen=True)
class Draft:
    """What a person wrote of one scope; `parents` by field, each with all names of its own."""

    parents: Mapping[str, list[str]]
    fields: Mapping[str, object]


async def create(
    publisher: Publisher, org_id: str, kind: Kind, name: str, draft: Draft
) -> dict[str, Any]:
    """Raises Refusal when the name is taken or a parent does not exist."""
    async with publisher.change(org_id) as change:
        try:
            await change.connection.execute(SQL["insert"], org_id, kind.name, name)
        except UniqueViolation:
            detail = f"The {kind.name} {name!r} exists already; change it with PATCH."
            refuse_conflict(detail)
        await _write(change, kind, name, draft)
        return await _read(change.connection, org_id, kind, name)


async def edit(
    publisher: Publisher,
    org_id: str,
    kind: Kind,
    name: str,
    draft: Draft,
    if_match: str | None = None,
) -> dict[str, Any]:
    """New parents count for every key bound below, from the next snapshot on."""
    async with publisher.change(org_id) as change:
        editions.check(if_match, await _read(change.connection, org_id, kind, name))
        await _write(change, kind, name, draft)
        change.restricts |= bool(draft.parents) or draft.fields.get("state") == "archived"
        return await _read(change.connection, org_id, kind, name)


async def get(pool: Pool, org_id: str, kind: Kind, name: str) -> dict[str, Any]:
    async with pool.acquire() as connection:
        return await _read(connection, org_id, kind, name)


async def page(pool: Pool, org_id: str, kind: Kind, after: str, limit: int) -> list[dict[str, Any]]:
    rows = await pool.fetch(SQL["page"], org_id, kind.name, after, limit)
    return [_view(kind, row) for row in rows]


async def register(connection: Connection, org_id: str, scope: Mapping[str, str]) -> None:
    """Enter each name that is new. Raises Refusal for one that is archived."""
    for kind, name in scope.items():
        await connection.execute(SQL["register"], org_id, kind, name)
        _check_open((kind, name), await connection.fetchval(SQL["state"], org_id, kind, name))


def _check_open(scope: tuple[str, str], state: str) -> None:
    if state == "archived":
        detail = f"The {scope[0]} {scope[1]!r} is archived; set its state to 'active' first."
        refuse_conflict(detail)


async def _write(change: Change, kind: Kind, name: str, draft: Draft) -> None:
    connection, org_id = change.connection, change.org_id
    for column in ("display_name", "attributes", "state"):
        if column in draft.fields:
            await connection.execute(
                SQL[f"set_{column}"], org_id, kind.name, name, draft.fields[column]
            )
    for field_name, names in draft.parents.items():
        await _set_parents(connection, org_id, (kind.name, name), (kind.parents[field_name], names))
    if "tier" in draft.parents:
        await templates.follow_person(change, name)


async def _set_parents(
    connection: Connection, org_id: str, child: Scope, named: tuple[str, list[str]]
) -> None:
    """Those that stay are left alone, so that the audit shows what changed."""
    parent_kind, names = named
    await connection.execute(SQL["remove_parents"], org_id, *child, parent_kind, names)
    parents = await read_parents(connection, org_id)
    for name in names:
        if (parent := (parent_kind, name)) not in parents.get(child, ()):
            await _check_parent(connection, org_id, child, parent, parents)
            await connection.execute(SQL["insert_parent"], org_id, *child, *parent)


async def _check_parent(
    connection: Connection, org_id: str, child: Scope, parent: Scope, parents: Parents
) -> None:
    state = await connection.fetchval(SQL["state"], org_id, *parent)
    if state is None:
        refuse_invalid(f"There is no {parent[0]} {parent[1]!r}; create it first.")
    _check_open(parent, state)
    if child in ancestors(parent, parents):
        detail = f"The {parent[0]} {parent[1]!r} is below the {child[0]} {child[1]!r} already."
        refuse_invalid(detail)


async def _read(connection: Connection, org_id: str, kind: Kind, name: str) -> dict[str, Any]:
    row = await connection.fetchrow(SQL["get"], org_id, kind.name, name)
    if row is None:
        refuse_missing(kind.name, name)
    return _view(kind, row)


def _view(kind: Kind, row: Row) -> dict[str, Any]:
    parents: dict[str, list[str]] = row["parents"]
    named: dict[str, object] = {}
    for field_name, above in kind.parents.items():
        names = parents.get(above, [])
        named[field_name] = names if field_name in kind.several else next(iter(names), None)
    attributes = dict(row["attributes"])
    if kind.name == "person":
        named["email"] = attributes.pop("email", None)
    return {
        "name": row["name"],
        "kind": kind.name,
        "display_name": row["display_name"],
        **named,
        "attributes": attributes,
        "state": row["state"],
        "created_at": row["created_at"],
    }
