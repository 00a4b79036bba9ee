"""What a person may type about teams, projects, people, agents, cost centers and tiers."""

from typing import Annotated, Literal

from pydantic import Field

from spendra_control_plane.api.bodies.words import Body, Name

MOST_PARENTS = 50
Names = Annotated[list[Name], Field(max_length=MOST_PARENTS)]


class EditScope(Body):
    """What every scope has. A field that names a parent takes null, or an empty list, for none."""

    display_name: Name | None = None
    attributes: dict[str, str | None] | None = None
    state: Literal["active", "archived"] = "active"


class EditTeam(EditScope):
    parent: Name | None = None
    cost_center: Name | None = None


class EditProject(EditScope):
    teams: Names | None = None
    cost_center: Name | None = None


class EditPerson(EditScope):
    teams: Names | None = None
    tier: Name | None = None
    cost_center: Name | None = None
    email: Name | None = None


class EditAgent(EditScope):
    parent: Name | None = None
    project: Name | None = None


class EditCostCenter(EditScope):
    pass


class EditTier(EditScope):
    pass


class NewTeam(EditTeam):
    name: Name


class NewProject(EditProject):
    name: Name


class NewPerson(EditPerson):
    name: Name


class NewAgent(EditAgent):
    name: Name


class NewCostCenter(EditCostCenter):
    name: Name


class NewTier(EditTier):
    name: Name
