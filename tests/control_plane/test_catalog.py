"""The frozen catalog says what the installed genai-prices says, exactly and deterministically."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage
from genai_prices import types as genai
from genai_prices.data import providers

from spendra_control_plane.catalog import default_catalog
from spendra_control_plane.catalog.freeze import encode, freeze
from spendra_control_plane.catalog.limits import Limits

LIMITS = {
    "azure/eu/gpt-4o": {"litellm_provider": "azure", "max_output_tokens": 7},
    "gpt-4o": {
        "litellm_provider": "openai",
        "max_input_tokens": 128_000,
        "max_output_tokens": 16_384,
    },
    "nobody/x": {"litellm_provider": "nobody", "max_output_tokens": 1},
}


@pytest.fixture(scope="module")
def frozen() -> dict[str, Any]:
    return freeze(Limits.read(json.dumps(LIMITS).encode()))


def model(segment: dict[str, Any], provider_id: str, model_id: str) -> dict[str, Any]:
    [provider] = [found for found in segment["providers"] if found["id"] == provider_id]
    found: dict[str, Any] = next(m for m in provider["models"] if m["id"] == model_id)
    return found


def test_the_same_input_gives_the_same_bytes(frozen: dict[str, Any]) -> None:
    again = freeze(Limits.read(json.dumps(LIMITS).encode()))
    assert encode(again) == encode(frozen)


def test_no_number_is_a_float(frozen: dict[str, Any]) -> None:
    def no_float(text: str) -> None:
        pytest.fail(f"the float {text}")

    json.loads(encode(frozen), parse_float=no_float)
    json.loads(default_catalog(), parse_float=no_float)


def test_limits_belong_to_their_provider(frozen: dict[str, Any]) -> None:
    assert model(frozen, "openai", "gpt-4o")["max_output"] == 16_384
    assert "max_output" not in model(frozen, "openai", "gpt-4.1")


def test_the_shipped_catalog_is_what_the_package_says_now(frozen: dict[str, Any]) -> None:
    def without_limits(segment: dict[str, Any]) -> dict[str, Any]:
        kept = {name: segment[name] for name in ("source", "providers")}
        for provider in kept["providers"]:
            for found in provider["models"]:
                found.pop("max_output", None)
                found.pop("context_window", None)
        return kept

    assert without_limits(json.loads(default_catalog())) == without_limits(
        json.loads(encode(frozen))
    )


@pytest.mark.parametrize("provider", providers, ids=lambda provider: provider.id)
def test_input_prices_in_force_are_those_of_the_package(provider: genai.Provider) -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    [ours] = [p for p in json.loads(default_catalog())["providers"] if p["id"] == provider.id]
    for theirs, frozen_model in zip(provider.models, ours["models"], strict=True):
        price = theirs.get_prices(now).input_mtok
        rates = in_force(frozen_model["prices"], now)
        if isinstance(price, Decimal):
            assert abs(Decimal(rates["input_mtok"]) - price) <= Decimal("0.0000005")


def in_force(prices: list[dict[str, Any]], now: datetime) -> dict[str, Any]:
    now_ms = int(now.timestamp() * 1000)
    minute = now.hour * 60 + now.minute
    for price in reversed(prices):
        start, end = price.get("daily", (0, 1440))
        if price.get("from_ms", 0) <= now_ms and start <= minute < end:
            return dict(price["rates"])
    return dict(prices[0]["rates"])


def test_the_package_still_counts_as_we_do() -> None:
    [openai] = [provider for provider in providers if provider.id == "openai"]
    found = openai.find_model("gpt-4o-2024-08-06")
    assert found is not None
    cost = found.calc_price(Usage(input_tokens=1_000_000), openai)
    assert cost.total_price == Decimal("2.5")
