"""What a person may type about issuers of tokens."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from spendra_control_plane.api.bodies.alerts import Address, check_url
from spendra_control_plane.api.bodies.words import Body, Word

Dimension = Literal["team", "project", "person", "agent", "cost_center", "tier"]
Claim = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x20]+$", max_length=200)]


class IssuerBody(Body):
    """Tokens of `issuer` for `audience` stand for the key `key_id`, with scopes from `claims`."""

    issuer: Address
    audience: Word
    jwks_url: Address | None = None
    key_id: Word
    claims: Annotated[dict[Dimension, Claim], Field(max_length=6)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _travels_safely(self) -> Self:
        check_url(self.issuer, "issuer")
        if self.jwks_url is not None:
            check_url(self.jwks_url, "jwks_url")
        return self
