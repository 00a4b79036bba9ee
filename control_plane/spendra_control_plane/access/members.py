"""Members: people and services that use the API, each with roles."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from spendra.scopes import KEY_DIMENSIONS
from spendra_control_plane.access.callers import Caller
from spendra_control_plane.authoring import editions, scopes
from spendra_control_plane.authoring.organizations import new_id
from spendra_control_plane.authoring.refusals import (
    Refusal,
    refuse_conflict,
    refuse_invalid,
    refuse_missing,
)
from spendra_control_plane.stores.postgres import Connection, Pool, Row, UniqueViolation
from spendra_control_plane.stores.sql import statements

SQL = statements("members")
Kind = Literal["person", "service"]


@dataclass(frozen=True, kw_only=True)
class Draft:
    """`manages` maps a kind of scope to names: what a manager sees, with all that is below."""

    name: str
    kind: Kind
    roles: list[str]
    manages: Mapping[str, list[str]]


async def create(pool: Pool, caller: Caller, draft: Draft) -> dict[str, Any]:
    """A person of that name is registered as a scope too. Raises Refusal."""
    check_may_touch(caller, draft.roles)
    check_fit(draft.kind, draft.roles, draft.manages)
    async with pool.acquire() as connection, connection.transaction():
        member_id = await insert(connection, caller.org_id, draft)
        return dict((await _read(connection, caller.org_id, member_id)).items())


async def insert(connection: Connection, org_id: str, draft: Draft) -> str:
    """The id of the new member, whoever makes it. Raises Refusal for a name that is taken."""
    member_id = new_id("mem")
    columns = (draft.kind, draft.name, draft.roles, draft.manages)
    if draft.kind == "person":
        await scopes.register(connection, org_id, {"person": draft.name})
    try:
        await connection.execute(SQL["insert"], org_id, member_id, *columns)
    except UniqueViolation:
        refuse_conflict(f"The {draft.kind} {draft.name!r} is a member already.")
    return member_id


async def edit(
    pool: Pool,
    caller: Caller,
    member_id: str,
    edits: Mapping[str, Any],
    if_match: str | None = None,
) -> dict[str, Any]:
    """`edits` may hold `roles`, `manages` and `state`; they count from the next request on."""
    async with pool.acquire() as connection, connection.transaction():
        old = dict((await _read(connection, caller.org_id, member_id, lock=True)).items())
        editions.check(if_match, old)
        new = {**old, **edits}
        check_may_touch(caller, {*old["roles"], *new["roles"]})
        check_fit(old["kind"], new["roles"], new["manages"])
        columns = (new["roles"], new["manages"], new["state"])
        await connection.execute(SQL["edit"], caller.org_id, member_id, *columns)
        return dict((await _read(connection, caller.org_id, member_id)).items())


async def get(pool: Pool, org_id: str, member_id: str) -> dict[str, Any]:
    async with pool.acquire() as connection:
        return dict((await _read(connection, org_id, member_id)).items())


async def page(pool: Pool, org_id: str, after: str, limit: int) -> list[dict[str, Any]]:
    return [dict(row.items()) for row in await pool.fetch(SQL["page"], org_id, after, limit)]


def check_may_touch(caller: Caller, roles: Iterable[str]) -> None:
    """Raises Refusal: only an owner may make or change an owner, or act for one."""
    if "owner" in roles and "owner" not in caller.roles:
        raise Refusal("not_allowed", "Only an owner may make, change or act for an owner.")


async def _read(connection: Connection, org_id: str, member_id: str, *, lock: bool = False) -> Row:
    row = await connection.fetchrow(SQL["get_locked" if lock else "get"], org_id, member_id)
    if row is None:
        refuse_missing("member", member_id)
    return row


def check_fit(kind: str, roles: list[str], manages: Mapping[str, list[str]]) -> None:
    """Raises Refusal for roles that the kind cannot have, or that lack what they need."""
    if "employee" in roles and kind != "person":
        refuse_invalid("roles: a service has no spend of its own; 'employee' is for people.")
    if ("manager" in roles) != bool(manages):
        refuse_invalid("manages: name what a manager sees, and only for the role 'manager'.")
    strange = set(manages) - set(KEY_DIMENSIONS)
    if strange:
        known = ", ".join(sorted(KEY_DIMENSIONS))
        refuse_invalid(f"manages: {min(strange)!r} is not one of {known}.")
