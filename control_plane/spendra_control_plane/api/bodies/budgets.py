"""What a person may type about budgets."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from spendra_control_plane.api.bodies.record import Reason
from spendra_control_plane.api.bodies.words import (
    Body,
    Dollars,
    Edit,
    Moment,
    Name,
    ScopeSelector,
    Word,
    Zone,
    one_amount,
)


def _set_aside(nanousd: int) -> int:
    """It is held as one amount; 0 sets nothing aside."""
    return one_amount(nanousd) if nanousd else 0


def _something(nanousd: int) -> int:
    if nanousd == 0:
        msg = "ask for more than nothing"
        raise ValueError(msg)
    return nanousd


def _ascending(written: list[int]) -> list[int]:
    return sorted(set(written))


SetAsideDollars = Annotated[Dollars, AfterValidator(_set_aside)]
Percents = Annotated[
    list[Annotated[int, Field(ge=1, le=1000)]], Field(max_length=10), AfterValidator(_ascending)
]
BudgetKind = Literal["hard", "soft"]


class NewBudget(Body):
    name: Name
    scope: ScopeSelector = Field(default_factory=dict)
    period: Literal["hour", "day", "week", "month", "quarter", "year", "fixed", "none"]
    timezone: Zone = "UTC"
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    limit_usd: Dollars
    kind: BudgetKind
    open_up_to_usd: SetAsideDollars = 0
    alert_at_percent: Percents = Field(default_factory=lambda: [50, 80, 100])

    @model_validator(mode="after")
    def _only_hard_ones_fail(self) -> Self:
        if self.kind == "soft" and self.open_up_to_usd:
            msg = "'open_up_to_usd' belongs to kind 'hard': a soft budget refuses nothing"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _dates_fit(self) -> Self:
        starts, ends = self.starts_at, self.ends_at
        if self.period == "fixed":
            if starts is None or ends is None or starts >= ends:
                msg = "a 'fixed' budget needs 'starts_at' and a later 'ends_at'"
                raise ValueError(msg)
        elif starts or ends:
            msg = "'starts_at' and 'ends_at' belong to period 'fixed' only"
            raise ValueError(msg)
        return self


class TemplateBudget(NewBudget):
    """`scope` is narrowed to each person."""

    @model_validator(mode="after")
    def _is_of_each(self) -> Self:
        if "person" in self.scope:
            msg = "leave 'person' out of 'scope': there is one for each person of the tier"
            raise ValueError(msg)
        return self


class BudgetTemplate(Body):
    budgets: Annotated[list[TemplateBudget], Field(min_length=1, max_length=20)]

    @model_validator(mode="after")
    def _has_names(self) -> Self:
        names = [budget.name for budget in self.budgets]
        if len(names) > len(set(names)):
            msg = "give each budget a name of its own: by it those that were made are known"
            raise ValueError(msg)
        return self


class EditBudget(Edit):
    name: Name | None = None
    limit_usd: Dollars | None = None
    kind: BudgetKind | None = None
    open_up_to_usd: SetAsideDollars | None = None
    alert_at_percent: Percents | None = None


class NewBudgetRequest(Body):
    """`limit_usd` is the limit that is wished for; after `lasts_s` it is no longer."""

    budget_id: Word
    limit_usd: Annotated[Dollars, AfterValidator(_something)]
    reason: Reason
    lasts_s: Annotated[int, Field(ge=60, le=90 * 86400)] = 7 * 86400


class BudgetDecision(Body):
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)] = ""
