"""What a person may type about the organization as a whole."""

from typing import Annotated

from pydantic import Field

from spendra_control_plane.api.bodies.words import Body, Name, Tokens


class NewOrganization(Body):
    name: Name


class Settings(Body):
    default_output_tokens: Tokens


class Freeze(Body):
    """`reason` is for the people who ask why."""

    reason: Annotated[str, Field(min_length=1, max_length=500)] | None = None
