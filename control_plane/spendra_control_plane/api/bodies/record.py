"""What a person may type about the record: corrections, and what becomes of lost money."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from spendra.money import usd_to_nanousd
from spendra_control_plane.api.bodies.words import Body, Dollars, Name

_LONGEST_WAIT_S = 365 * 86400


def _signed_dollars(written: Any) -> int:
    if isinstance(written, bool) or not isinstance(written, str | int | Decimal):
        msg = "write dollars as a decimal string such as '-0.25'"
        raise ValueError(msg)  # noqa: TRY004 - pydantic reports ValueError as the field's error
    nanousd = usd_to_nanousd(written)
    if nanousd == 0:
        msg = "an adjustment of nothing is none"
        raise ValueError(msg)
    return nanousd


def _uuid(written: Any) -> Any:
    return UUID(written) if isinstance(written, str) else written


SignedDollars = Annotated[
    int, BeforeValidator(_signed_dollars), WithJsonSchema({"type": "string", "examples": ["-0.25"]})
]
"""Written as decimal dollars, read as nano-USD; negative gives back."""
Id = Annotated[UUID, BeforeValidator(_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=1000)]


class NewAdjustment(Body):
    """Of a decision's attempt, or of an account; `cost_usd` is what an attempt should have cost."""

    id: Id | None = None
    decision_id: Id | None = None
    reservation_id: Id | None = None
    account_id: Name | None = None
    amount_usd: SignedDollars | None = None
    cost_usd: Dollars | None = None
    cost_center: Name | None = None
    provider: Name | None = None
    reason: Reason

    @model_validator(mode="after")
    def _is_of_one_thing(self) -> Self:
        if (self.decision_id is None) == (self.account_id is None):
            msg = "give either 'decision_id' or 'account_id'"
            raise ValueError(msg)
        if (self.amount_usd is None) == (self.cost_usd is None):
            msg = "give either 'amount_usd' (to add) or 'cost_usd' (what it should have cost)"
            raise ValueError(msg)
        self._fits_its_subject()
        return self

    def _fits_its_subject(self) -> None:
        if self.account_id and (self.cost_usd is not None or self.reservation_id):
            msg = "'cost_usd' and 'reservation_id' belong to a decision"
            raise ValueError(msg)
        if self.decision_id and (self.cost_center or self.provider):
            msg = "'cost_center' and 'provider' are the decision's own; leave them out"
            raise ValueError(msg)


class ReleaseLost(Body):
    reason: Reason


class PostLost(Body):
    amount_usd: Dollars
    reason: Reason


class LostRule(Body):
    """`after_s` null: the worker's SPENDRA_LOST_AFTER_S."""

    rule: Literal["worst_case", "estimate", "release"]
    after_s: Annotated[int, Field(ge=0, le=_LONGEST_WAIT_S)] | None = None
