"""What a person may type about members and their tokens."""

from typing import Annotated, Literal

from pydantic import Field

from spendra_control_plane.api.bodies.words import Body, Edit, Moment, Name

Role = Literal["owner", "finance", "iam", "platform", "auditor", "manager", "employee"]
Roles = Annotated[list[Role], Field(min_length=1, max_length=7)]
Managed = dict[str, Annotated[list[Name], Field(min_length=1, max_length=1000)]]


class NewMember(Body):
    """`name` of a person is the name of its scope: what its keys are bound to."""

    name: Name
    kind: Literal["person", "service"] = "person"
    roles: Roles
    manages: Managed = Field(default_factory=dict)


class EditMember(Edit):
    roles: Roles | None = None
    manages: Managed | None = None
    state: Literal["active", "suspended"] | None = None


class NewToken(Body):
    """`expires_at` null: until it is revoked."""

    name: Name
    expires_at: Moment | None = None
