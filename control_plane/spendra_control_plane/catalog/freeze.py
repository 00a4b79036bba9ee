"""Freezes the installed genai-prices package into `prices.json`.

`python -m spendra_control_plane.catalog.freeze --limits model_limits.json` writes the segment
that `PriceBook.load` reads: decimal strings in USD, times in Unix milliseconds, sorted, with no
float anywhere. The limits file maps a model name to `max_output_tokens` and `max_input_tokens`.
"""

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, datetime, time
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices import types as genai
from genai_prices.data import providers as genai_providers

from spendra_control_plane.catalog.limits import Limits

Json = Any
DEFAULT_OUT = Path(__file__).with_name("prices.json")
SMALLEST_PRICE = Decimal("0.000001")
"""Of USD per million: one pico-USD per token."""
FREE = {"input_mtok": "0", "output_mtok": "0"}
"""The package leaves all prices out. Of other models that means that nothing is known: unpriced."""
WITHOUT_LOOKAHEAD: dict[str, Json] = {
    r"^(?!.*-[tT][tT][sS](?:$|-))": {
        "not": {"or": [{"ends_with": "-tts"}, {"contains": "-tts-"}]},
    },
}
"""Patterns that need a look-ahead, said with clauses instead."""


class FreezeError(ValueError):
    """The package holds something that this catalog has no words for."""


def freeze(limits: Limits) -> dict[str, Json]:
    """The whole segment."""
    named = f"genai-prices-{version('genai-prices')}+limits-{limits.digest[:8]}"
    return {
        "version": named,
        "source": "genai-prices, MIT licence, copyright Pydantic Services Inc. and contributors",
        "providers": [_provider(provider, limits) for provider in genai_providers],
    }


def encode(segment: dict[str, Json]) -> bytes:
    """Compact and sorted: the same input gives the same bytes."""
    text = json.dumps(segment, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.encode("ascii") + b"\n"


def _provider(provider: genai.Provider, limits: Limits) -> dict[str, Json]:
    found: dict[str, Json] = {
        "id": provider.id,
        "models": [_model(provider, model, limits) for model in provider.models],
    }
    if provider.provider_match is not None:
        found["match"] = _clause(provider.provider_match)
    if provider.fallback_model_providers:
        found["fallback"] = list(provider.fallback_model_providers)
    return found


def _model(provider: genai.Provider, model: genai.ModelInfo, limits: Limits) -> dict[str, Json]:
    context, output = limits.of(provider.id, model)
    tiers = [_tiered(variant) for variant in model.price_variants or []]
    found: dict[str, Json] = {
        "id": model.id,
        "match": _clause(model.match),
        "context_window": model.context_window or context,
        "max_output": output,
        "prices": list(_dated(model)),
        "tiers": [tier for tier in tiers if tier["rates"]],
    }
    return {name: value for name, value in found.items() if value}


def _dated(model: genai.ModelInfo) -> Iterator[dict[str, Json]]:
    prices = model.prices
    if isinstance(prices, genai.ModelPrice):
        yield {"rates": _rates(prices) or (FREE if model.id.endswith(":free") else {})}
        return
    for price in prices:
        yield {**_when(price.constraint), "rates": _rates(price.prices)}


def _tiered(variant: genai.PriceVariant) -> dict[str, Json]:
    return {
        "tier": _tier(variant.when),
        **_when(variant.constraint),
        "rates": _rates(variant.prices),
    }


def _tier(when: dict[str, str]) -> str:
    """A tier's name: the bare word where providers report it as one."""
    [(key, value)] = when.items()
    return value if key in {"service_tier", "processing", "speed"} else f"{key}={value}"


def _when(
    constraint: genai.StartDateConstraint | genai.TimeOfDateConstraint | None,
) -> dict[str, Json]:
    if constraint is None:
        return {}
    if isinstance(constraint, genai.StartDateConstraint):
        start = datetime.combine(constraint.start_date, time(), UTC)
        return {"from_ms": int(start.timestamp()) * 1000}
    return {"daily": [_minute(constraint.start_time), _minute(constraint.end_time)]}


def _minute(moment: time) -> int:
    offset = moment.utcoffset()
    if offset or moment.second or moment.microsecond:
        msg = f"{moment} is not a whole minute in UTC"
        raise FreezeError(msg)
    return moment.hour * 60 + moment.minute


def _rates(prices: genai.ModelPrice) -> dict[str, Json]:
    held = vars(prices).items()
    return {name: _amount(value) for name, value in held if value is not None}


def _amount(value: Decimal | genai.TieredPrices) -> Json:
    if isinstance(value, Decimal):
        return _decimal(value)
    above = [[tier.start, _decimal(tier.price)] for tier in value.tiers]
    return {"base": _decimal(value.base), "above": above}


def _decimal(price: Decimal) -> str:
    """Plain decimals; finer ones in the source are noise of floats, or a recurring third."""
    rounded = price.quantize(SMALLEST_PRICE, rounding=ROUND_HALF_EVEN)
    text = f"{rounded:f}".rstrip("0").rstrip(".")
    return text or "0"


def _clause(clause: genai.MatchLogic) -> Json:
    if isinstance(clause, genai.ClauseOr):
        return {"or": [_clause(part) for part in clause.or_]}
    if isinstance(clause, genai.ClauseAnd):
        return {"and": [_clause(part) for part in clause.and_]}
    if isinstance(clause, genai.ClauseRegex):
        return _pattern(clause.regex)
    [(name, text)] = vars(clause).items()
    return {name: text}


def _pattern(regex: str) -> Json:
    if regex in WITHOUT_LOOKAHEAD:
        return WITHOUT_LOOKAHEAD[regex]
    if "(?" in regex:
        msg = f"the pattern {regex!r} needs clauses of its own in WITHOUT_LOOKAHEAD"
        raise FreezeError(msg)
    return {"regex": regex}


def main() -> None:
    parser = argparse.ArgumentParser(description="Freeze the default price catalog.")
    parser.add_argument("--limits", type=Path, required=True, help="limits of models, as JSON")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    asked = parser.parse_args()
    limits = Limits.read(asked.limits.read_bytes())
    asked.out.write_bytes(encode(freeze(limits)))


if __name__ == "__main__":
    main()
