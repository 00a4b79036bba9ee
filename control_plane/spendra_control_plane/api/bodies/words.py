"""What bodies are made of: every field checked, every unknown field an error."""

from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from spendra.money import MAX_AMOUNT_NANOUSD, usd_to_nanousd
from spendra.scopes import KEY_DIMENSIONS
from spendra_control_plane.authoring.selectors import read_selector

LARGEST_TOKENS = 2**31 - 1


class Body(BaseModel):
    """A JSON object whose fields are all known."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _only_known(cls, written: Any) -> Any:
        if isinstance(written, Mapping):
            for name in written:
                check_known(str(name), _names(cls), "field")
        return written

    def given(self) -> dict[str, Any]:
        """Only the fields that were written, null ones included."""
        return {name: getattr(self, name) for name in self.model_fields_set}


def _names(body: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in body.model_fields.items()]


def check_known(name: str, known: list[str], what: str) -> None:
    """Raises ValueError that names the nearest right name."""
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the {what}s are {', '.join(known)}"
        msg = f"unknown {what} {name!r}; {hint}"
        raise ValueError(msg)


def _dollars(written: Any) -> int:
    if isinstance(written, bool) or not isinstance(written, str | int | Decimal):
        msg = "write dollars as a decimal string such as '12.50'"
        raise ValueError(msg)  # noqa: TRY004 - pydantic reports ValueError as the field's error
    nanousd = usd_to_nanousd(written)
    if nanousd < 0:
        msg = "an amount cannot be negative"
        raise ValueError(msg)
    return nanousd


def one_amount(nanousd: int) -> int:
    if not 0 < nanousd <= MAX_AMOUNT_NANOUSD:
        msg = "the largest cost of one request must be above 0 and below nine million dollars"
        raise ValueError(msg)
    return nanousd


def _moment(written: Any) -> Any:
    if not isinstance(written, str):
        msg = "write a moment with its offset, such as '2026-12-31T00:00:00Z'"
        raise ValueError(msg)  # noqa: TRY004
    return written


def _globs(written: list[str]) -> list[str]:
    if not written:
        msg = "name at least one pattern, such as '*', or leave the field out"
        raise ValueError(msg)
    return written


def _of_keys(written: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
    for dimension in read_selector(written):
        check_known(dimension, [*KEY_DIMENSIONS, "key", "environment"], "dimension")
    return written


def _selector(written: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
    read_selector(written)
    return written


def _zone(written: str) -> str:
    if written not in available_timezones():
        msg = f"{written!r} is not a time zone; write one like 'Europe/Zurich' or 'UTC'"
        raise ValueError(msg)
    return ZoneInfo(written).key


Name = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$"
    ),
]
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Dollars = Annotated[
    int, BeforeValidator(_dollars), WithJsonSchema({"type": "string", "examples": ["12.50"]})
]
"""Written as decimal dollars, read as nano-USD."""
RequestDollars = Annotated[Dollars, AfterValidator(one_amount)]
Globs = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], AfterValidator(_globs)]
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_moment)]
Zone = Annotated[str, AfterValidator(_zone)]
Tokens = Annotated[int, Field(gt=0, le=LARGEST_TOKENS)]
ScopeSelector = Annotated[dict[str, str | list[str]], AfterValidator(_selector)]
KeySelector = Annotated[dict[str, str | list[str]], AfterValidator(_of_keys)]
"""Over what keys are bound to, themselves and their environment."""


class Edit(Body):
    """A change of some fields: at least one, and none of them null."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set or None in self.given().values():
            msg = f"give a value to at least one of {', '.join(type(self).model_fields)}"
            raise ValueError(msg)
        return self
