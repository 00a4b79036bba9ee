"""What an answer costs where a provider's way of telling it is a trap."""

from typing import Any

import httpx
import pytest

from tests.system.conftest import System
from tests.system.sdks.driver import Sdk
from tests.system.sdks.project import Project, driver, project
from tests.system.sdks.table import SDKS

PYTHON = [sdk for sdk in SDKS if "npm" not in sdk.package]
MESSAGES: Any = [{"role": "user", "content": "What is wet?"}]


def post(at: Project, path: str, body: dict[str, Any], words: str = "") -> httpx.Response:
    return httpx.post(
        f"{at.system.up['sidecar_url']}{path}",
        json=body,
        headers={"x-spendra-key": at.key, "x-simulate": words},
        timeout=30,
    )


def chat(at: Project, words: str = "", **more: Any) -> httpx.Response:
    body = {"model": "gpt-4o-mini", "messages": MESSAGES, "max_tokens": 100}
    return post(at, "/v1/chat/completions", body | more, words)


# --- zero, and missing --------------------------------------------------------------------


def test_zero_usage_is_a_value(system: System) -> None:
    at = project(system)
    assert chat(at, "tokens=0").json()["usage"]["completion_tokens"] == 0
    item = at.one_item()
    assert (item["usage_confidence"], item["usage"]["output_tokens"]) == ("reported", 0)


def test_missing_usage_is_not_zero(system: System) -> None:
    at = project(system)
    assert "usage" not in chat(at, "no-usage").json()
    item = at.one_item()
    assert item["usage_confidence"] == "counted"
    assert item["usage"]["output_tokens"] == 24


@pytest.mark.parametrize("sdk", PYTHON, ids=str)
def test_a_stream_without_usage_is_not_free(system: System, sdk: Sdk) -> None:
    at = project(system)
    with driver(sdk, at, "no-usage,tokens=20") as asked:
        try:
            assert "".join(asked.stream())
        except AttributeError:
            # Anthropic's SDK cannot read a message without usage; it arrived all the same.
            assert sdk.package == "anthropic"
    item = at.one_item()
    assert item["state"] == "posted"
    assert item["usage_confidence"] in {"counted", "estimated", "worst_case"}
    assert item["cost_nanousd"] > 0
    assert item["usage_confidence"] == "worst_case" or item["usage"]["output_tokens"] >= 19


# --- what is told before the end ----------------------------------------------------------


@pytest.mark.parametrize("sdk", PYTHON, ids=str)
def test_an_answer_that_is_cut_costs_at_least_what_was_delivered(system: System, sdk: Sdk) -> None:
    at = project(system)
    said: list[str] = []
    with (
        driver(sdk, at, "tokens=60,cut-after=40", retries=0) as asked,
        pytest.raises(Exception),  # noqa: B017, PT011 (each SDK has its own)
    ):
        said.extend(asked.stream())
    item = at.one_item()
    assert item["usage"]["output_tokens"] >= len(said) > 20
    assert item["cost_nanousd"] >= len(said) * sdk.prices_nanousd[1] * 0.6


# --- cached input -------------------------------------------------------------------------

CACHED_READ_NANOUSD = {"openai chat": 75, "anthropic": 100, "google-genai": 30}


@pytest.mark.parametrize("sdk", [s for s in SDKS if s.name in CACHED_READ_NANOUSD], ids=str)
def test_cached_tokens_are_priced_once_by_each_providers_own_rule(system: System, sdk: Sdk) -> None:
    plain, cached = project(system), project(system)
    for at, words in ((plain, ""), (cached, "cached=3")):
        with driver(sdk, at, words) as asked:
            asked.plain()
    saved = plain.one_item()["cost_nanousd"] - cached.one_item()["cost_nanousd"]
    assert saved == 3 * (sdk.prices_nanousd[0] - CACHED_READ_NANOUSD[sdk.name])
    assert cached.one_item()["usage"]["cached_input_tokens"] == 3
    assert cached.one_item()["usage"]["input_tokens"] == plain.one_item()["usage"]["input_tokens"]


# --- thinking -----------------------------------------------------------------------------

THINKING = [sdk for sdk in PYTHON if sdk.name in {"openai chat", "openai responses"}]


@pytest.mark.parametrize("sdk", THINKING, ids=str)
def test_reasoning_is_in_the_output_where_the_provider_includes_it(
    system: System, sdk: Sdk
) -> None:
    at = project(system)
    with driver(sdk, at, "reasoning=50,tokens=7") as asked:
        assert asked.plain().output_tokens == 57
    assert at.one_item()["usage"]["output_tokens"] == 57


def test_geminis_thoughts_are_added_to_what_it_said(system: System) -> None:
    at = project(system)
    (sdk,) = (sdk for sdk in SDKS if sdk.name == "google-genai")
    with driver(sdk, at, "reasoning=50,tokens=7") as asked:
        assert asked.plain().output_tokens == 7
    item = at.one_item()
    assert item["usage"]["output_tokens"] == 57
    of_input, of_output = sdk.prices_nanousd
    assert item["cost_nanousd"] == item["usage"]["input_tokens"] * of_input + 57 * of_output


def test_geminis_thinking_that_only_the_total_shows_is_charged(system: System) -> None:
    at = project(system)
    body = {"model": "gemini-2.5-flash", "messages": MESSAGES, "max_tokens": 100}
    path = "/v1/providers/gemini/chat/completions"
    usage = post(at, path, body, "reasoning=50,tokens=7").json()["usage"]
    assert (usage["completion_tokens"], usage["total_tokens"] - usage["prompt_tokens"]) == (7, 57)
    expected = usage["prompt_tokens"] * 300 + 57 * 2500
    assert at.one_item()["cost_nanousd"] == expected


# --- prices -------------------------------------------------------------------------------


def test_the_model_that_answered_is_the_one_that_is_paid(system: System) -> None:
    at = project(system)
    usage = chat(at, "model=gpt-4.1-nano", model="gpt-4.1-mini").json()["usage"]
    item = at.one_item()
    assert (item["requested_model"], item["model"]) == ("gpt-4.1-mini", "gpt-4.1-nano")
    of_nano = usage["prompt_tokens"] * 100 + usage["completion_tokens"] * 400
    assert item["cost_nanousd"] == of_nano


def test_a_model_without_a_price_is_refused(system: System) -> None:
    at = project(system)
    before = system.provider()["total"]
    answer = chat(at, model="no-such-model-anywhere")
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "unpriced_model"
    assert system.provider()["total"] == before


def test_a_long_context_counts_in_the_hold_too(system: System) -> None:
    """gemini-2.5-pro: $1.25 a million input tokens, $2.50 beyond 200,000 of them."""
    held = []
    for words in (100_000, 250_000):
        at = project(system, limit_usd="50")
        body = {
            "contents": [{"role": "user", "parts": [{"text": "wet " * words}]}],
            "generationConfig": {"maxOutputTokens": 10},
        }
        path = "/v1/google/v1beta/models/gemini-2.5-pro:generateContent"
        assert post(at, path, body).status_code == 200
        item = at.one_item()
        held.append(item["estimated_nanousd"] / words)
        assert item["reserved_nanousd"] >= item["cost_nanousd"] > words * 1250
    short, long = held
    assert long > 1.8 * short
