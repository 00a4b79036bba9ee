"""What a person may type about provider routes."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from spendra.providers import PROVIDERS, Provider, row
from spendra_control_plane.api.bodies.words import (
    Body,
    Globs,
    KeySelector,
    RequestDollars,
    Word,
)


def _base_url(written: str) -> str:
    url = written.rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        msg = "write an origin such as 'https://api.openai.com', with a prefix if there is one"
        raise ValueError(msg)
    if parts.username or parts.password:
        msg = "leave user and password out of the address; give the secret as 'credential'"
        raise ValueError(msg)
    if parts.path.endswith("/v1"):
        msg = "leave '/v1' out: it belongs to the provider's own paths, which follow the address"
        raise ValueError(msg)
    return url


def _kind(written: str) -> str:
    if written not in PROVIDERS:
        msg = f"{written!r} is not a kind of provider; the kinds are {', '.join(sorted(PROVIDERS))}"
        raise ValueError(msg)
    return written


class FallbackBody(Body):
    """The route to try next; `model` in place of the one asked for."""

    route: Annotated[str, Field(min_length=1, max_length=40)]
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None


SecretName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
]
PathPattern = Annotated[str, StringConstraints(pattern=r"^/[\x21-\x7e]*$", max_length=500)]


class ProviderBody(Body):
    """`kind`: a row of the provider table; by default the one of the route's name.

    `credential_file`: a file in `SPENDRA_SECRETS_DIR` of the sidecars, in place of `credential`.
    `scope`: whose requests it is for, by what keys are bound to; empty: everybody's.
    """

    kind: Annotated[str, AfterValidator(_kind)] | None = None
    base_url: Annotated[str, AfterValidator(_base_url)] | None = None
    credential: Annotated[str, Field(max_length=10_000)] | None = Field(default=None, repr=False)
    credential_file: SecretName | None = None
    scope: KeySelector = Field(default_factory=dict)
    models: Globs = Field(default_factory=lambda: ["*"])
    fallbacks: Annotated[list[FallbackBody], Field(max_length=8)] = Field(default_factory=list)
    parameters: Annotated[dict[Literal["project", "location"], Word], Field(max_length=2)] = Field(
        default_factory=dict
    )
    model_names: Annotated[dict[Word, Word], Field(max_length=500)] = Field(default_factory=dict)
    unmetered_ceiling_usd: Annotated[dict[PathPattern, RequestDollars], Field(max_length=50)] = (
        Field(default_factory=dict)
    )

    @model_validator(mode="after")
    def _has_one_credential(self) -> Self:
        if self.credential and self.credential_file:
            msg = "give 'credential' or 'credential_file', not both"
            raise ValueError(msg)
        return self

    def kind_of(self, name: str) -> Provider:
        return row(self.kind or name)
