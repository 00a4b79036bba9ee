"""What a person may type about prices."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from spendra._hot import PriceBook
from spendra_control_plane.api.bodies.record import Reason
from spendra_control_plane.api.bodies.words import Body, Moment, Name, check_known

UNITS = PriceBook.units()
_PATTERN_LENGTH = 200


def _positive(written: str) -> str:
    if not any(digit in written for digit in "123456789"):
        msg = "a share of nothing would price everything at nothing; write rates of '0' for that"
        raise ValueError(msg)
    return written


Glob = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
"""A name, in which `*` and `?` are wildcards."""
Price = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(\.[0-9]{1,12})?$")]
"""Decimal dollars for the unit that the rate's name says."""
Share = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{1,3}(\.[0-9]{1,6})?$"), AfterValidator(_positive)
]
Count = Annotated[int, Field(ge=0, le=2**40)]


class Step(Body):
    """What the whole request costs by, once its input is longer."""

    above_input_tokens: Count
    price: Price


class Stepped(Body):
    base: Price
    steps: Annotated[list[Step], Field(min_length=1, max_length=20)]


class NewPrice(Body):
    """`rates` replace the catalog's entry whole; `multiplier` is a share of the catalog's price."""

    name: Name
    provider: Glob
    model: Glob
    service_tier: Name | None = None
    rates: dict[str, Price | Stepped] | None = None
    multiplier: Share | None = None
    starts_at: Moment | None = None
    ends_at: Moment | None = None

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        if (self.rates is None) == (self.multiplier is None):
            msg = "give either 'rates' or 'multiplier'"
            raise ValueError(msg)
        if self.multiplier is not None and self.service_tier is not None:
            msg = "a multiplier is of every tier; leave 'service_tier' out"
            raise ValueError(msg)
        self._check_rates(self.rates)
        if self.starts_at and self.ends_at and self.ends_at <= self.starts_at:
            msg = "'ends_at' must be after 'starts_at'"
            raise ValueError(msg)
        return self

    @staticmethod
    def _check_rates(rates: dict[str, Price | Stepped] | None) -> None:
        """A kind of token without a price would be held at nothing."""
        if rates is None:
            return
        for name in rates:
            check_known(name, UNITS, "kind of price")
        missing = {"input_mtok", "output_mtok"} - set(rates)
        if not rates or (missing and any(name.endswith("_mtok") for name in rates)):
            names = " and ".join(sorted(missing))
            msg = f"'rates' lack {names}; write '0' where it costs nothing"
            raise ValueError(msg)

    def said(self) -> dict[str, Any] | None:
        """The rates as they are stored."""
        rates: dict[str, Any] | None = self.model_dump()["rates"]
        return rates


class EndPrice(Body):
    at: Moment | None = None


class Counts(Body):
    """As a decision's usage; input includes what was cached, output includes reasoning."""

    input_tokens: Count = 0
    cached_input_tokens: Count = 0
    cache_write_tokens: Count = 0
    output_tokens: Count = 0
    reasoning_tokens: Count = 0
    web_searches: Count = 0
    search_units: Count = 0
    pages: Count = 0
    audio_ms: Count = 0
    billable_characters: Count = 0


class Quote(Body):
    """`at` null: now."""

    provider: Name
    model: Name
    usage: Counts
    service_tier: Name | None = None
    at: Moment | None = None


class Rerating(Body):
    """Of what was reserved from `from_` on and before `to`. `dry_run` books nothing."""

    from_: Annotated[Moment, Field(alias="from")]
    to: Moment
    provider: Glob | None = None
    model: Glob | None = None
    reason: Reason
    dry_run: bool = True
    cursor: Annotated[str, Field(max_length=2000)] = ""

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.to <= self.from_:
            msg = "'to' must be after 'from'"
            raise ValueError(msg)
        return self
