"""`/v1/teams`, `/v1/projects` and their like: one table for each kind, all of one shape."""

from typing import Annotated, Any

from fastapi import APIRouter, Response

from spendra_control_plane.api.bodies import scopes as bodies
from spendra_control_plane.api.exact import ExactRoute
from spendra_control_plane.api.gates import may
from spendra_control_plane.api.paging import Paging
from spendra_control_plane.api.plane import IfMatch, InPlane, tagged
from spendra_control_plane.authoring import scopes
from spendra_control_plane.authoring.scopes import KINDS, Draft, Kind

router = APIRouter(prefix="/v1", tags=["scopes"], route_class=ExactRoute)

Reads = Annotated[str, may("scopes:read")]
Writes = Annotated[str, may("scopes:write")]

_BODIES: dict[str, tuple[type[bodies.EditScope], type[bodies.EditScope]]] = {
    "teams": (bodies.NewTeam, bodies.EditTeam),
    "projects": (bodies.NewProject, bodies.EditProject),
    "people": (bodies.NewPerson, bodies.EditPerson),
    "agents": (bodies.NewAgent, bodies.EditAgent),
    "cost-centers": (bodies.NewCostCenter, bodies.EditCostCenter),
    "tiers": (bodies.NewTier, bodies.EditTier),
}


def _draft(kind: Kind, body: bodies.EditScope) -> Draft:
    given = body.given()
    fields: dict[str, object] = {
        name: given[name] for name in ("display_name", "state") if name in given
    }
    attributes = dict(given.get("attributes") or {})
    if "email" in given:
        attributes["email"] = given["email"]
    if attributes:
        fields["attributes"] = attributes
    parents = {name: _names(given[name]) for name in kind.parents if name in given}
    return Draft(parents=parents, fields=fields)


def _names(written: str | list[str] | None) -> list[str]:
    if written is None:
        return []
    return [written] if isinstance(written, str) else written


def _add(plural: str, kind: Kind) -> None:
    new, edited = _BODIES[plural]

    async def create(plane: InPlane, org_id: Writes, body: Any) -> dict[str, Any]:
        return await scopes.create(plane.publisher, org_id, kind, body.name, _draft(kind, body))

    async def edit(
        plane: InPlane,
        org_id: Writes,
        name: str,
        body: Any,
        response: Response,
        if_match: IfMatch = None,
    ) -> dict[str, Any]:
        draft = _draft(kind, body)
        view = await scopes.edit(plane.publisher, org_id, kind, name, draft, if_match)
        return tagged(response, view)

    async def get(plane: InPlane, org_id: Reads, name: str, response: Response) -> dict[str, Any]:
        return tagged(response, await scopes.get(plane.pool, org_id, kind, name))

    async def page(plane: InPlane, org_id: Reads, asked: Paging) -> dict[str, Any]:
        items = await scopes.page(plane.pool, org_id, kind, asked.after(), asked.fetch)
        return asked.page(items, "name")

    create.__annotations__["body"] = new
    edit.__annotations__["body"] = edited
    one = f"/{plural}/{{name:path}}"
    router.post(f"/{plural}", status_code=201, name=f"create_{kind.name}")(create)
    router.get(f"/{plural}", name=f"list_{plural.replace('-', '_')}")(page)
    router.get(one, name=f"get_{kind.name}")(get)
    router.patch(one, name=f"edit_{kind.name}")(edit)


for _plural, _kind in KINDS.items():
    _add(_plural, _kind)
