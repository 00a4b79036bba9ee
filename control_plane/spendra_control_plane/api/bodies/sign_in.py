"""What a person may type about signing in and inviting."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from spendra_control_plane.api.bodies.alerts import Address, Mail, check_url
from spendra_control_plane.api.bodies.members import Managed, Roles
from spendra_control_plane.api.bodies.words import Body, Word

DOMAIN = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$"
Domain = Annotated[str, StringConstraints(max_length=253, pattern=DOMAIN)]
LowerMail = Annotated[Mail, AfterValidator(str.lower)]


class SignIn(Body):
    """What the OpenID provider at `issuer` calls this control plane.

    `trusts_email`: addresses count although it does not say whether they are verified, as in
    directories where only administrators set them. What it says is not verified never counts.
    """

    issuer: Address
    client_id: Word
    client_secret: Annotated[str, Field(min_length=1, max_length=2000, repr=False)]
    trusts_email: bool = False

    @model_validator(mode="after")
    def _travels_safely(self) -> Self:
        check_url(self.issuer, "issuer")
        return self


class JoiningDomain(Body):
    """`joins_as`: the roles of who comes with a verified address of it."""

    joins_as: Roles


class NewInvitation(Body):
    """For `lasts_s` seconds."""

    email: LowerMail
    roles: Roles
    manages: Managed = Field(default_factory=dict)
    lasts_s: Annotated[int, Field(ge=60, le=90 * 86400)] = 7 * 86400
