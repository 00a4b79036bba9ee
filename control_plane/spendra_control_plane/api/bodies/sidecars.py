"""What is typed, or sent by a sidecar, about tokens of sidecars."""

from typing import Literal, Self

from pydantic import Field, model_validator

from spendra_control_plane.api.bodies.words import (
    Body,
    Globs,
    KeySelector,
    Moment,
    Name,
    Word,
)


class NewSidecarToken(Body):
    """`enrolment`: sidecars get a token of their own with it. `sidecar_id`: only that one's.

    `scope` and `providers`: what of the organization its sidecars hear of; left out: all of it.
    """

    name: Name
    kind: Literal["sidecar", "enrolment"] = "sidecar"
    sidecar_id: Word | None = None
    expires_at: Moment | None = None
    scope: KeySelector = Field(default_factory=dict)
    providers: Globs | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kind == "enrolment" and self.sidecar_id is not None:
            msg = "leave out 'sidecar_id': each sidecar that enrols gets a token of its own"
            raise ValueError(msg)
        return self


class Enrolment(Body):
    """Sent by a sidecar that has no token yet."""

    sidecar_id: Word
