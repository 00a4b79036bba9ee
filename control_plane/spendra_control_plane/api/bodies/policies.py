"""What a person may type about policies."""

from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from spendra.hours import DAYS
from spendra.snapshot import Day, Mode, Rules
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
    Zone,
)
from spendra_control_plane.authoring.selectors import read_selector

Clock = Annotated[str, Field(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
"""Local time, `HH:MM`; `24:00` is the end of the day."""


class OpenBody(Body):
    days: Annotated[list[Day], Field(min_length=1)] = Field(default_factory=lambda: list(DAYS))
    opens: Clock = "00:00"
    closes: Clock = "24:00"

    @model_validator(mode="after")
    def _is_open_sometimes(self) -> Self:
        if self.opens >= self.closes:
            msg = "'closes' must be later than 'opens'; write a night as two entries"
            raise ValueError(msg)
        return self


class HoursBody(Body):
    """When requests are let through, by the clocks of a time zone."""

    timezone: Zone = "UTC"
    open: Annotated[list[OpenBody], Field(min_length=1)]


class InsteadBody(Body):
    """Models, as patterns, and those that may serve in their place."""

    models: Globs
    instead: Annotated[list[Word], Field(min_length=1, max_length=10)]


class RoutingBody(Body):
    mode: Mode
    routes: Annotated[list[InsteadBody], Field(min_length=1, max_length=100)]


class RulesBody(Body):
    """Every rule that a policy can state; those left out say nothing."""

    models_allow: Globs | None = None
    models_deny: Globs | None = None
    providers_allow: Globs | None = None
    providers_deny: Globs | None = None
    vendors_allow: Globs | None = None
    vendors_deny: Globs | None = None
    tools_allow: Globs | None = None
    tools_deny: Globs | None = None
    required_labels: Globs | None = None
    labels_allow: Annotated[dict[Word, Globs], Field(min_length=1, max_length=100)] | None = None
    max_input_tokens: Tokens | None = None
    max_output_tokens: Tokens | None = None
    max_request_usd: RequestDollars | None = None
    requests_per_minute: Tokens | None = None
    tokens_per_minute: Tokens | None = None
    max_concurrency: Tokens | None = None
    default_output_tokens: Tokens | None = None
    fit_output_to_budget: Tokens | None = None
    unlimited_output: Literal["cap", "watch", "model"] | None = None
    environments_allow: Globs | None = None
    hours: HoursBody | None = None
    routing: RoutingBody | None = None
    review_above_usd: RequestDollars | None = None
    review: Literal["block", "flag"] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            msg = f"a policy needs a rule; the rules are {', '.join(type(self).model_fields)}"
            raise ValueError(msg)
        if self.review is not None and self.review_above_usd is None:
            msg = "'review' says what happens above 'review_above_usd'; give that too"
            raise ValueError(msg)
        return self

    def rules(self) -> Rules:
        said = self.model_dump()
        for name in ("max_request", "review_above"):
            said[f"{name}_nanousd"] = said.pop(f"{name}_usd")
        return msgspec.convert(said, Rules)


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


class ReviewDecision(Body):
    """Good for `lasts_s` seconds."""

    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)] = ""
    lasts_s: Annotated[int, Field(ge=1, le=30 * 86400)] = 86400


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
