"""What a person may type about policies."""

from typing import Literal, Self

from pydantic import Field, model_validator

from spendra.snapshot import Rules
from spendra_control_plane.api.bodies.words import (
    Body,
    Edit,
    Globs,
    Name,
    RequestDollars,
    ScopeSelector,
    Tokens,
)


class RulesBody(Body):
    """Every rule that a policy can state; those left out say nothing."""

    models_allow: Globs | None = None
    models_deny: Globs | None = None
    providers_allow: Globs | None = None
    providers_deny: Globs | None = None
    max_input_tokens: Tokens | None = None
    max_output_tokens: Tokens | None = None
    max_request_usd: RequestDollars | None = None
    requests_per_minute: Tokens | None = None
    tokens_per_minute: Tokens | None = None
    max_concurrency: Tokens | None = None
    default_output_tokens: Tokens | None = None
    unlimited_output: Literal["cap", "watch", "model"] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            msg = f"a policy needs a rule; the rules are {', '.join(type(self).model_fields)}"
            raise ValueError(msg)
        return self

    def rules(self) -> Rules:
        said = self.model_dump()
        said["max_request_nanousd"] = said.pop("max_request_usd")
        return Rules(**said)


class NewPolicy(Body):
    name: Name
    scope: ScopeSelector = Field(default_factory=dict)
    rules: RulesBody


class EditPolicy(Edit):
    name: Name | None = None
    scope: ScopeSelector | None = None
    rules: RulesBody | None = None
