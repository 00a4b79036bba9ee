"""The `prices` segment: the catalog, and before it the prices of an organization's own."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from spendra_control_plane.snapshots.moments import ms

PriceRow: TypeAlias = Mapping[str, Any]
"""As `spendra.prices` has it."""


def prices_segment(catalog: bytes, rows: Iterable[PriceRow]) -> bytes:
    """Of rows that hold for the same request the first counts. Without any: the catalog itself."""
    own = list(rows)
    if not own:
        return catalog
    members: dict[str, Any] = msgspec.json.decode(catalog, type=dict[str, msgspec.Raw])
    return msgspec.json.encode(members | _own(own))


def _own(rows: list[PriceRow]) -> dict[str, list[dict[str, Any]]]:
    return {
        "customer_prices": [_price(row) for row in rows if row["rates"] is not None],
        "multipliers": [_multiplier(row) for row in rows if row["rates"] is None],
    }


def _price(row: PriceRow) -> dict[str, Any]:
    rates = {name: _rate(rate) for name, rate in row["rates"].items()}
    return _named(row) | {"service_tier": row["service_tier"], "rates": rates}


def _rate(rate: Any) -> Any:
    if isinstance(rate, str):
        return rate
    steps = [[step["above_input_tokens"], step["price"]] for step in rate["steps"]]
    return {"base": rate["base"], "above": steps}


def _multiplier(row: PriceRow) -> dict[str, Any]:
    return _named(row) | {"multiplier": row["multiplier"]}


def _named(row: PriceRow) -> dict[str, Any]:
    return {
        "id": row["id"],
        "provider": row["provider"],
        "model": row["model"],
        "starts_at_ms": ms(row["starts_at"]),
        "ends_at_ms": ms(row["ends_at"]),
    }
