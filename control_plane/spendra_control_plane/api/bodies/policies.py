"""What a person may type about policies."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from spendra.snapshot import Rules
from spendra_control_plane.api.bodies.budgets import NewBudget
from spendra_control_plane.api.bodies.keys import Environment, KeyScope
from spendra_control_plane.api.bodies.words import (
    Body,
    Edit,
    Globs,
    Moment,
    Name,
    RequestDollars,
    ScopeSelector,
    Tokens,
    Word,
)
from spendra_control_plane.authoring.selectors import read_selector


class RulesBody(Body):
    """Every rule that a policy can state; those left out say nothing."""

    models_allow: Globs | None = None
    models_deny: Globs | None = None
    providers_allow: Globs | None = None
    providers_deny: Globs | None = None
    tools_allow: Globs | None = None
    tools_deny: Globs | None = None
    required_labels: Globs | None = None
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


class Rollback(Body):
    version: Annotated[int, Field(ge=1, lt=2**63)]


class Proposed(Body):
    """A policy that is not in force."""

    scope: ScopeSelector = Field(default_factory=dict)
    rules: RulesBody


class Draft(Proposed):
    """One that is only tried; `replaces`: the one that it would take the place of."""

    replaces: Word | None = None


class Replay(Body):
    """What is held against past spend: a policy, or a budget as `POST /v1/budgets` takes it."""

    start: Moment = Field(alias="from")
    end: Moment = Field(alias="to")
    policy: Proposed | None = None
    budget: NewBudget | None = None

    @model_validator(mode="after")
    def _is_of_one(self) -> Self:
        if (self.policy is None) == (self.budget is None):
            msg = "give either 'policy' or 'budget'"
            raise ValueError(msg)
        if self.start >= self.end:
            msg = "'to' must be later than 'from'"
            raise ValueError(msg)
        return self


def _facts(written: dict[str, str]) -> dict[str, str]:
    read_selector(written)
    return written


class Evaluation(Body):
    """A request that is not sent: of a key, or of whoever has such a scope.

    `path` and `body` are what would be asked of the sidecar; `facts` what its headers would add.
    """

    key_id: Word | None = None
    scope: KeyScope = Field(default_factory=dict)
    environment: Environment = "live"
    provider: Word
    path: Word = "/v1/chat/completions"
    body: dict[str, Any]
    facts: Annotated[dict[str, str], AfterValidator(_facts)] = Field(default_factory=dict)
    policy: Draft | None = None

    @model_validator(mode="after")
    def _is_of_one_caller(self) -> Self:
        if self.key_id is not None and self.scope:
            msg = "give either 'key_id' or 'scope'"
            raise ValueError(msg)
        return self
