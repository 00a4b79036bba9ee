"""What a person may type: every field checked, every unknown field an error."""

from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit
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
from spendra.providers import PROVIDERS, Provider, row
from spendra.snapshot import Rules
from spendra_control_plane.authoring.selectors import check_key_scope, read_selector

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


def _set_aside(nanousd: int) -> int:
    """It is held as one amount; 0 sets nothing aside."""
    return _one_amount(nanousd) if nanousd else 0


def _one_amount(nanousd: int) -> int:
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


def _zone(written: str) -> str:
    if written not in available_timezones():
        msg = f"{written!r} is not a time zone; write one like 'Europe/Zurich' or 'UTC'"
        raise ValueError(msg)
    return ZoneInfo(written).key


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


def _selector(written: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
    read_selector(written)
    return written


Name = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$"
    ),
]
Dollars = Annotated[
    int, BeforeValidator(_dollars), WithJsonSchema({"type": "string", "examples": ["12.50"]})
]
"""Written as decimal dollars, read as nano-USD."""
RequestDollars = Annotated[Dollars, AfterValidator(_one_amount)]
SetAsideDollars = Annotated[Dollars, AfterValidator(_set_aside)]
Globs = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], AfterValidator(_globs)]
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_moment)]
Tokens = Annotated[int, Field(gt=0, le=LARGEST_TOKENS)]
KeyScope = Annotated[dict[str, str], AfterValidator(check_key_scope)]
ScopeSelector = Annotated[dict[str, str | list[str]], AfterValidator(_selector)]
BudgetKind = Literal["hard", "soft"]


class NewOrganization(Body):
    name: Name


class Settings(Body):
    default_output_tokens: Tokens


class ScopeBody(Body):
    """What every scope has. `parents` are the fields that name one; null takes it away."""

    parents: ClassVar[tuple[str, ...]] = ()
    display_name: Name | None = None
    attributes: dict[str, str] | None = None
    state: Literal["active", "archived"] = "active"


class EditTeam(ScopeBody):
    parents = ("parent",)
    parent: Name | None = None


class EditProject(ScopeBody):
    parents = ("team",)
    team: Name | None = None


class EditPerson(ScopeBody):
    parents = ("team",)
    team: Name | None = None
    email: Name | None = None


class EditAgent(ScopeBody):
    parents = ("parent", "project")
    parent: Name | None = None
    project: Name | None = None


class NewTeam(EditTeam):
    name: Name


class NewProject(EditProject):
    name: Name


class NewPerson(EditPerson):
    name: Name


class NewAgent(EditAgent):
    name: Name


class NewKey(Body):
    name: Name
    scope: KeyScope = Field(default_factory=dict)
    environment: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,16}$")] = "live"
    models: Globs | None = None
    max_request_usd: RequestDollars | None = None
    expires_at: Moment | None = None


class Rotation(Body):
    grace_seconds: Annotated[int, Field(ge=0, le=30 * 86400)] = 0


class NewBudget(Body):
    name: Name
    scope: ScopeSelector = Field(default_factory=dict)
    period: Literal["hour", "day", "week", "month", "quarter", "year", "fixed", "none"]
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    limit_usd: Dollars
    kind: BudgetKind
    open_up_to_usd: SetAsideDollars = 0

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


class Edit(Body):
    """A change of some fields: at least one, and none of them null."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set or None in self.given().values():
            msg = f"give a value to at least one of {', '.join(type(self).model_fields)}"
            raise ValueError(msg)
        return self


class EditBudget(Edit):
    name: Name | None = None
    limit_usd: Dollars | None = None
    kind: BudgetKind | None = None
    open_up_to_usd: SetAsideDollars | None = None


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


class Freeze(Body):
    """`reason` is for the people who ask why."""

    reason: Annotated[str, Field(min_length=1, max_length=500)] | None = None


class NewPolicy(Body):
    name: Name
    scope: ScopeSelector = Field(default_factory=dict)
    rules: RulesBody


class EditPolicy(Edit):
    name: Name | None = None
    scope: ScopeSelector | None = None
    rules: RulesBody | None = None


class FallbackBody(Body):
    """The route to try next; `model` in place of the one asked for."""

    route: Annotated[str, Field(min_length=1, max_length=40)]
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None


PathPattern = Annotated[str, StringConstraints(pattern=r"^/[\x21-\x7e]*$", max_length=500)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ProviderBody(Body):
    """`kind`: a row of the provider table; by default the one of the route's name."""

    kind: Annotated[str, AfterValidator(_kind)] | None = None
    base_url: Annotated[str, AfterValidator(_base_url)] | None = None
    credential: Annotated[str, Field(max_length=10_000)] | None = Field(default=None, repr=False)
    models: Globs = Field(default_factory=lambda: ["*"])
    fallbacks: Annotated[list[FallbackBody], Field(max_length=8)] = Field(default_factory=list)
    parameters: Annotated[dict[Literal["project", "location"], Word], Field(max_length=2)] = Field(
        default_factory=dict
    )
    model_names: Annotated[dict[Word, Word], Field(max_length=500)] = Field(default_factory=dict)
    unmetered_ceiling_usd: Annotated[dict[PathPattern, RequestDollars], Field(max_length=50)] = (
        Field(default_factory=dict)
    )

    def kind_of(self, name: str) -> Provider:
        return row(self.kind or name)
