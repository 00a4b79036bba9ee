"""The ledger as CSV, a line for each cost: for finance, and in the columns of FOCUS.

It is read in pages, so that a reader may be slow, and a ledger long, at no cost in memory.
"""

import csv
import io
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec

from spendra.money import nanousd_to_usd
from spendra.scopes import LABEL_PREFIX
from spendra_control_plane.access.callers import Seen
from spendra_control_plane.reporting.ledger import Part
from spendra_control_plane.stores.postgres import Pool, Row
from spendra_control_plane.stores.sql import statements

SQL = statements("exports")
PAGE: Final = 2000
Line: TypeAlias = Mapping[str, Any]
Columns: TypeAlias = Mapping[str, Callable[[Line], object]]
_DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula at the start of a text (OWASP, CSV injection)."""


def _fact(dimension: str) -> Callable[[Line], str]:
    return lambda line: _text(next(iter(line["facts"].get(dimension, [])), ""))


def _field(name: str) -> Callable[[Line], str]:
    return lambda line: _text(line[name])


def _count(name: str) -> Callable[[Line], int]:
    return lambda line: line[name] or 0


def _usd(*names: str) -> Callable[[Line], str]:
    return lambda line: nanousd_to_usd(sum(line[name] for name in names))


def _labels(line: Line) -> str:
    labels = {
        name.removeprefix(LABEL_PREFIX): values[0]
        for name, values in sorted(line["facts"].items())
        if name.startswith(LABEL_PREFIX) and values
    }
    return msgspec.json.encode(labels).decode() if labels else ""


def _when(name: str) -> Callable[[Line], str]:
    return lambda line: _moment(line[name])


def _moment(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else ""


def _text(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_DANGEROUS) else text


def _month(line: Line, later: int) -> str:
    """The first instant of the line's month, or of the next."""
    start: datetime = line["reserved_at"]
    months = start.year * 12 + start.month - 1 + later
    year, month = divmod(months, 12)
    return f"{year:04}-{month + 1:02}-01T00:00:00Z"


def _tags(line: Line) -> str:
    """Everything it was counted under; the first value of each."""
    tags = {name: values[0] for name, values in sorted(line["facts"].items()) if values}
    return msgspec.json.encode({**tags, "cost_center": line["cost_center"]}).decode()


FINANCE: Final[Columns] = {
    "line_type": _field("line_type"),
    "reserved_at": _when("reserved_at"),
    "settled_at": _when("settled_at"),
    "cost_center": _field("cost_center"),
    "team": _fact("team"),
    "project": _fact("project"),
    "person": _fact("person"),
    "agent": _fact("agent"),
    "environment": _fact("environment"),
    "key_id": _fact("key"),
    "labels": _labels,
    "provider": _field("provider"),
    "requested_model": _field("requested_model"),
    "model": _field("model"),
    "input_tokens": _count("input_tokens"),
    "cached_input_tokens": _count("cached_input_tokens"),
    "cache_write_tokens": _count("cache_write_tokens"),
    "output_tokens": _count("output_tokens"),
    "reasoning_tokens": _count("reasoning_tokens"),
    "cost_usd": _usd("cost_nanousd"),
    "adjusted_usd": _usd("adjusted_nanousd"),
    "total_usd": _usd("cost_nanousd", "adjusted_nanousd"),
    "reserved_usd": _usd("reserved_nanousd"),
    "usage_confidence": _field("usage_confidence"),
    "reason": _field("reason"),
    "price_version": _field("price_version"),
    "decision_id": _field("decision_id"),
    "reservation_id": _field("reservation_id"),
    "attempt": _count("attempt"),
}
"""Columns of a release are never renamed or moved; new ones come last."""


def _quantity(line: Line) -> int:
    """Tokens; of what is not counted in tokens, the request."""
    return (line["input_tokens"] or 0) + (line["output_tokens"] or 0) or 1


def _unit(line: Line) -> str:
    return "Tokens" if line["input_tokens"] or line["output_tokens"] else "Requests"


def _unit_price(*names: str) -> Callable[[Line], str]:
    """What the line comes to by its quantity; a request has several rates."""

    def of(line: Line) -> str:
        cost_usd = Decimal(sum(line[name] for name in names)).scaleb(-9)
        return f"{(cost_usd / _quantity(line)).quantize(_ATTO_USD).normalize():f}"

    return of


def _of_usage(column: Callable[[Line], object], otherwise: str = "") -> Callable[[Line], object]:
    """Adjustments have no usage."""
    return lambda line: column(line) if line["line_type"] == "usage" else otherwise


def _null(_: Line) -> str:
    return ""


_BILLED: Final = ("cost_nanousd", "adjusted_nanousd")
_ATTO_USD: Final = Decimal(1).scaleb(-18)

FOCUS: Final[Columns] = {
    "AvailabilityZone": _null,
    "BilledCost": _usd(*_BILLED),
    "BillingAccountId": _field("org_id"),
    "BillingAccountName": _field("org_id"),
    "BillingCurrency": lambda _: "USD",
    "BillingPeriodEnd": lambda line: _month(line, 1),
    "BillingPeriodStart": lambda line: _month(line, 0),
    "ChargeCategory": _of_usage(lambda _: "Usage", "Adjustment"),
    "ChargeClass": _null,
    "ChargeDescription": lambda line: _text(line["model"] or line["reason"]),
    "ChargeFrequency": _of_usage(lambda _: "Usage-Based", "One-Time"),
    "ChargePeriodEnd": lambda line: _moment(line["settled_at"] or line["reserved_at"]),
    "ChargePeriodStart": _when("reserved_at"),
    "CommitmentDiscountCategory": _null,
    "CommitmentDiscountId": _null,
    "CommitmentDiscountName": _null,
    "CommitmentDiscountStatus": _null,
    "CommitmentDiscountType": _null,
    "ConsumedQuantity": _of_usage(_quantity),
    "ConsumedUnit": _of_usage(_unit),
    "ContractedCost": _usd(*_BILLED),
    "ContractedUnitPrice": _of_usage(_unit_price(*_BILLED)),
    "EffectiveCost": _usd(*_BILLED),
    "InvoiceIssuerName": _field("provider"),
    "ListCost": _usd("cost_nanousd"),
    "ListUnitPrice": _of_usage(_unit_price("cost_nanousd")),
    "PricingCategory": _of_usage(lambda _: "Standard"),
    "PricingQuantity": _of_usage(_quantity),
    "PricingUnit": _of_usage(_unit),
    "ProviderName": _field("provider"),
    "PublisherName": _field("provider"),
    "RegionId": _null,
    "RegionName": _null,
    "ResourceId": _field("model"),
    "ResourceName": _field("model"),
    "ResourceType": lambda line: "Model" if line["model"] else "",
    "ServiceCategory": lambda _: "AI and Machine Learning",
    "ServiceName": _field("provider"),
    "SkuId": _field("model"),
    "SkuPriceId": _field("price_version"),
    "SubAccountId": _fact("project"),
    "SubAccountName": _fact("project"),
    "Tags": _tags,
}
"""All columns of https://focus.finops.org (1.0), in the specification's words; null is empty."""


async def rows(pool: Pool, seen: Seen, part: Part, columns: Columns) -> AsyncIterator[bytes]:
    """CSV as RFC 4180 has it, the names of the columns first."""
    yield _written([list(columns)])
    async for page in _pages(pool, seen, part):
        yield _written([[column(line) for column in columns.values()] for line in page])


async def _pages(pool: Pool, seen: Seen, part: Part) -> AsyncIterator[list[Line]]:
    span = (seen.org_id, part.start, part.end)
    scoped = (*span, part.scope, seen.reach)
    async for page in _paged(pool, SQL["lines"], scoped):
        yield [_usage(seen.org_id, row) for row in page]
    if part.scope or seen.reach is not None:
        # Adjustments of accounts are of the organization, and of no scope.
        return
    async for page in _paged(pool, SQL["adjustments"], span):
        yield [_adjustment(seen.org_id, row) for row in page]


async def _paged(pool: Pool, sql: str, asked: tuple[object, ...]) -> AsyncIterator[list[Row]]:
    """By moment and id, each page from where the one before ended."""
    after: tuple[object, object] = (None, None)
    while True:
        found = await pool.fetch(sql, *asked, *after, PAGE)
        yield found
        if len(found) < PAGE:
            return
        after = (found[-1]["reserved_at"], found[-1]["reservation_id"])


def _usage(org_id: str, row: Row) -> Line:
    return {**dict(row.items()), "org_id": org_id, "line_type": "usage"}


def _adjustment(org_id: str, row: Row) -> Line:
    nothing = dict.fromkeys((
        "settled_at", "requested_model", "model", "input_tokens", "cached_input_tokens",
        "cache_write_tokens", "output_tokens", "reasoning_tokens", "usage_confidence",
        "price_version", "decision_id", "attempt",
    ))  # fmt: skip
    return {
        **nothing, **dict(row.items()), "org_id": org_id, "line_type": "adjustment", "facts": {},
        "cost_nanousd": 0, "reserved_nanousd": 0, "adjusted_nanousd": row["amount_nanousd"],
    }  # fmt: skip


def _written(lines: list[list[object]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(lines)
    return out.getvalue().encode()
