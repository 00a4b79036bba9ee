"""What a recorded answer cost, by the price list itself and not by the code under test."""

from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

from genai_prices import Usage, calc_price

from tests.system.corpus.cases import Case, body_of

_NANO = Decimal(1_000_000_000)
_TOKENS = {
    "input_tokens": "input_tokens",
    "cached_input_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "output_tokens": "output_tokens",
}
_LISTED_AS = {"gemini": "google", "vertex": "google", "xai": "x-ai"}
_CALLS = (b"webSearchQueries", b"web_search_call", b"web_search_tool_result", b"file_search_call")
_TOLD_BESIDES = {"reasoning_tokens", "total_tokens_reported", "cost_reported_usd"}
"""Parts of the others, or not a count."""


def stated_nanousd(case: Case) -> int | None:
    """What the provider itself says it charged."""
    stated, raw = (case["usage"] or {}).get("cost_reported_usd"), case["usage_raw"] or {}
    if raw.get("is_byok"):
        # OpenRouter charges nothing for it; the caller's own provider does.
        stated = raw["cost_details"]["upstream_inference_cost"]
    return None if stated is None else _nano(Decimal(str(stated)))


def charged_calls(case: Case) -> bool:
    """Whether the provider's own tools were used, which are billed by the call."""
    if "-search-preview" in (case["model_requested"] or ""):
        return True  # it always searches
    return any(word in body_of(case) for word in _CALLS)


def has_price(case: Case) -> bool:
    """Whether the price list says what the model that was asked costs at that provider.

    It leaves all prices out where a model is free, but also where it knows none.
    """
    model = case["model_requested"] or case["model_response"] or ""
    price = _price(case, model, Usage(input_tokens=1, output_tokens=1))
    return bool(price) or (price is not None and model.endswith(":free"))


def listed_nanousd(case: Case) -> int | None:
    """What the price list makes of the tokens; None where more than tokens was billed, or another
    tier than the ordinary, or the list has no such model."""
    usage: dict[str, Any] = case["usage"] or {}
    besides = {name for name, count in usage.items() if count} - set(_TOKENS) - _TOLD_BESIDES
    besides -= {name for name in besides if name.startswith(("raw_", "accepted_"))}
    if besides or case["usage_extra"] or case["service_tier"] not in {None, "default", "standard"}:
        return None
    counts = {ours: usage.get(name) or 0 for name, ours in _TOKENS.items()}
    if "hidden-thinking-tokens" in case["tags"]:
        counts["output_tokens"] = usage["total_tokens_reported"] - usage["input_tokens"]
    model = case["model_response"] or case["model_requested"] or ""
    price = _price(case, model, Usage(**counts))
    return None if price is None else _nano(price)


def _price(case: Case, model: str, usage: Usage) -> Decimal | None:
    provider = _LISTED_AS.get(case["provider"], case["provider"])
    try:
        price = calc_price(
            usage,
            model.removeprefix("models/"),
            provider_id=provider,
            genai_request_timestamp=datetime.now(UTC),
        )
    except (LookupError, ValueError):
        return None
    return Decimal(price.total_price)


def _nano(usd: Decimal) -> int:
    return int((usd * _NANO).to_integral_value(ROUND_CEILING))
