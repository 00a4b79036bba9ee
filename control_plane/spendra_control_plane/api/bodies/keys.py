"""What a person may type about keys."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from spendra_control_plane.api.bodies.words import (
    Body,
    Globs,
    Moment,
    Name,
    RequestDollars,
    Word,
)
from spendra_control_plane.authoring.selectors import check_key_scope

KeyScope = Annotated[dict[str, str], AfterValidator(check_key_scope)]
Environment = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,16}$")]


class NewKey(Body):
    """`delegated_from`: a key that it must not exceed, and from which it has what is left out.

    `environment` is `live` unless given. `projects`: each request says in `X-Spendra-Project` which
    of them it is for.
    """

    name: Name
    scope: KeyScope = Field(default_factory=dict)
    environment: Environment | None = None
    projects: Annotated[list[Name], Field(min_length=1, max_length=50)] | None = None
    models: Globs | None = None
    providers: Globs | None = None
    tools: Globs | None = None
    max_request_usd: RequestDollars | None = None
    expires_at: Moment | None = None
    delegated_from: Word | None = None

    @model_validator(mode="after")
    def _has_one_project_or_several(self) -> Self:
        if self.projects is not None and "project" in self.scope:
            msg = "give 'projects' or a project in 'scope', not both"
            raise ValueError(msg)
        return self


class Rotation(Body):
    grace_seconds: Annotated[int, Field(ge=0, le=30 * 86400)] = 0


class Scan(Body):
    """A text in which keys may have leaked. It is not kept."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=1_000_000)] = Field(repr=False)
