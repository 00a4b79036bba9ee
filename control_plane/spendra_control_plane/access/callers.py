"""Who sent a token, and what of the organization is theirs to see."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from spendra_control_plane.access.capabilities import held, may_everywhere
from spendra_control_plane.authoring.organizations import digest
from spendra_control_plane.authoring.refusals import refuse_missing
from spendra_control_plane.stores.postgres import Connection, Pool
from spendra_control_plane.stores.sql import statements

SQL = statements("members")
Reach = dict[str, list[str]] | None
"""Names by kind of scope; None is everything."""


class Seen(NamedTuple):
    """What of an organization a caller may see."""

    org_id: str
    reach: Reach


@dataclass(frozen=True, kw_only=True)
class Caller:
    """`member_id` None is the organization's admin token, which is an owner."""

    org_id: str
    token_id: str
    member_id: str | None = None
    kind: str = "admin token"
    name: str = "admin token"
    roles: tuple[str, ...] = ("owner",)
    manages: dict[str, list[str]] = field(default_factory=dict)

    @property
    def actor(self) -> str:
        """As the record names it."""
        return self.kind if self.member_id is None else f"{self.kind} {self.name}"

    @property
    def person(self) -> str | None:
        """The scope that it is itself, where it is somebody."""
        return self.name if self.kind == "person" else None

    def view(self) -> dict[str, Any]:
        return {
            "org_id": self.org_id,
            "member_id": self.member_id,
            "kind": self.kind,
            "name": self.name,
            "roles": list(self.roles),
            "manages": self.manages,
            "capabilities": held(self.roles),
        }


async def caller_of(pool: Pool, token: str) -> Caller | None:
    """None for a token that is unknown, revoked or expired, or whose member is suspended."""
    row = await pool.fetchrow(SQL["caller"], digest(token))
    if row is None:
        return None
    if row["member_id"] is None:
        return Caller(org_id=row["org_id"], token_id=row["id"])
    if row["is_stale"]:
        await pool.execute(SQL["used"], row["org_id"], row["id"])
    return Caller(
        org_id=row["org_id"],
        token_id=row["id"],
        member_id=row["member_id"],
        kind=row["kind"],
        name=row["name"],
        roles=tuple(row["roles"]),
        manages=row["manages"],
    )


async def reach(pool: Pool, caller: Caller, capability: str) -> Reach:
    """Everything, or the caller's own person and what it manages with all that is below."""
    if may_everywhere(caller.roles, capability):
        return None
    own: dict[str, list[str]] = {}
    if "employee" in caller.roles:
        own = {"person": [caller.name]}
    if "manager" not in caller.roles:
        return own
    below: dict[str, list[str]] = await pool.fetchval(SQL["below"], caller.org_id, caller.manages)
    return {kind: below.get(kind, []) + own.get(kind, []) for kind in {*below, *own}}


async def require_within(
    connection: Connection, seen: Seen, facts: object, named: tuple[str, str]
) -> None:
    """Raises Refusal as if it did not exist: `named` is what it is, and its id."""
    if not await connection.fetchval(SQL["within"], seen.reach, facts):
        refuse_missing(*named)


async def require_covers(
    connection: Connection, seen: Seen, selector: object, named: tuple[str, str]
) -> None:
    """As `require_within`, for what a selector selects as a whole."""
    if not await connection.fetchval(SQL["covers"], seen.reach, selector):
        refuse_missing(*named)
