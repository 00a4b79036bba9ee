"""The official OpenAI SDK through a sidecar: only its base URL and key are changed."""

from typing import Any

import httpx
import openai
import pytest

from tests.system.conftest import System, eventually

MESSAGES: Any = [{"role": "user", "content": "Say something about budgets."}]
WEATHER: Any = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
GPT_4O_INPUT_NANOUSD = 2500
GPT_4O_OUTPUT_NANOUSD = 10_000


def cost_of(usage: Any) -> int:
    """gpt-4o: $2.50 and $10 per million tokens, nothing cached."""
    return int(
        usage.prompt_tokens * GPT_4O_INPUT_NANOUSD + usage.completion_tokens * GPT_4O_OUTPUT_NANOUSD
    )


def one_settlement(system: System, decision_id: str) -> dict[str, Any]:
    """The decision, which has exactly one outcome, one attempt and balanced entries."""
    decision = system.ended(decision_id)
    assert len(decision["attempts"]) == 1
    [item] = system.ask("GET", f"/v1/ledger?decision_id={decision_id}")["items"]
    assert item["cost_nanousd"] == decision["cost_nanousd"]
    amounts = sorted(entry["amount_nanousd"] for entry in item["entries"])
    assert amounts == [-decision["cost_nanousd"], decision["cost_nanousd"]]
    return decision


def test_plain_chat_is_answered_reserved_and_booked_to_the_nanodollar(system: System) -> None:
    raw = system.openai().chat.completions.with_raw_response.create(
        model="gpt-4o", messages=MESSAGES
    )
    answer, headers = raw.parse(), raw.headers
    assert answer.choices[0].message.content
    decision = one_settlement(system, headers["x-spendra-decision-id"])
    assert decision["state"] == "posted"
    assert decision["usage_confidence"] == "reported"
    assert decision["usage"]["input_tokens"] == answer.usage.prompt_tokens
    assert decision["usage"]["output_tokens"] == answer.usage.completion_tokens
    assert decision["cost_nanousd"] == cost_of(answer.usage)
    assert decision["reserved_nanousd"] >= decision["cost_nanousd"]
    assert float(headers["x-spendra-cost"]) * 1e9 == pytest.approx(decision["cost_nanousd"])
    assert (
        headers["x-spendra-tokens"]
        == f"{answer.usage.prompt_tokens}/{answer.usage.completion_tokens}"
    )


def test_a_stream_is_relayed_without_the_usage_that_we_asked_for(system: System) -> None:
    with system.openai().chat.completions.with_streaming_response.create(
        model="gpt-4o", messages=MESSAGES, stream=True
    ) as raw:
        decision_id = raw.headers["x-spendra-decision-id"]
        chunks = list(raw.parse())
    assert "".join(c.choices[0].delta.content or "" for c in chunks)
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    decision = one_settlement(system, decision_id)
    assert decision["usage_confidence"] == "reported"
    assert decision["usage"]["output_tokens"] > 0
    assert decision["cost_nanousd"] > 0


def test_a_caller_who_asks_for_usage_sees_it(system: System) -> None:
    chunks = list(
        system.openai().chat.completions.create(
            model="gpt-4o", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    )
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


def test_tools_pass_through(system: System) -> None:
    raw = system.openai().chat.completions.with_raw_response.create(
        model="gpt-4o", messages=MESSAGES, tools=WEATHER, tool_choice="required"
    )
    answer = raw.parse()
    assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"
    decision = one_settlement(system, raw.headers["x-spendra-decision-id"])
    assert decision["cost_nanousd"] == cost_of(answer.usage)


def test_several_choices_are_reserved_and_charged(system: System) -> None:
    create = system.openai().chat.completions.with_raw_response.create
    one = create(model="gpt-4o", messages=MESSAGES, max_tokens=50)
    three = create(model="gpt-4o", messages=MESSAGES, max_tokens=50, n=3)
    assert len(three.parse().choices) == 3
    single = one_settlement(system, one.headers["x-spendra-decision-id"])
    triple = one_settlement(system, three.headers["x-spendra-decision-id"])
    assert triple["cost_nanousd"] == cost_of(three.parse().usage)
    extra = triple["reserved_nanousd"] - single["reserved_nanousd"]
    assert extra >= 2 * 50 * GPT_4O_OUTPUT_NANOUSD


def test_a_caller_who_hangs_up_is_charged_for_what_was_delivered(system: System) -> None:
    with system.openai().chat.completions.with_streaming_response.create(
        model="gpt-4o",
        messages=MESSAGES,
        stream=True,
        max_tokens=400,
        extra_headers={"x-simulate": "tokens=400,chunk-ms=20"},
    ) as raw:
        decision_id = raw.headers["x-spendra-decision-id"]
        stream = raw.parse()
        for _ in range(5):
            next(stream)
    decision = one_settlement(system, decision_id)
    assert decision["usage_confidence"] == "counted"
    assert 0 < decision["usage"]["output_tokens"] < 400
    assert decision["cost_nanousd"] == (
        decision["usage"]["input_tokens"] * GPT_4O_INPUT_NANOUSD
        + decision["usage"]["output_tokens"] * GPT_4O_OUTPUT_NANOUSD
    )
    assert 0 < decision["cost_nanousd"] < decision["reserved_nanousd"]


@pytest.mark.parametrize(
    ("status", "error"), [(429, openai.RateLimitError), (500, openai.InternalServerError)]
)
def test_an_upstream_error_is_passed_on_and_costs_nothing(
    system: System, status: int, error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error) as caught:
        system.openai(max_retries=0).chat.completions.create(
            model="gpt-4o", messages=MESSAGES, extra_headers={"x-simulate": f"status={status}"}
        )
    decision = one_settlement(system, caught.value.response.headers["x-spendra-decision-id"])
    assert (decision["state"], decision["cost_nanousd"]) == ("posted", 0)
    assert decision["usage_confidence"] == "reported"


def test_an_upstream_cut_mid_stream_raises_and_is_charged_as_counted(system: System) -> None:
    with system.openai(max_retries=0).chat.completions.with_streaming_response.create(
        model="gpt-4o",
        messages=MESSAGES,
        stream=True,
        extra_headers={"x-simulate": "tokens=100,chunk-ms=5,cut-after=10"},
    ) as raw:
        decision_id = raw.headers["x-spendra-decision-id"]
        with pytest.raises(openai.APIError):
            list(raw.parse())
    decision = one_settlement(system, decision_id)
    assert decision["usage_confidence"] == "counted"
    assert 0 < decision["usage"]["output_tokens"] < 100
    assert decision["cost_nanousd"] > 0


def test_a_stream_that_was_cut_ends(system: System) -> None:
    with httpx.stream(
        "POST",
        f"{system.up['sidecar_url']}/v1/chat/completions",
        json={"model": "gpt-4o", "messages": MESSAGES, "stream": True},
        headers={
            "authorization": f"Bearer {system.up['api_key']}",
            "x-simulate": "tokens=50,cut-after=5",
        },
        timeout=10,
    ) as answer:
        events = answer.read().decode().strip().split("\n\n")
    assert '"code":"upstream_cut"' in events[-1]


def test_a_stream_without_usage_is_not_free(system: System) -> None:
    with system.openai().chat.completions.with_streaming_response.create(
        model="gpt-4o", messages=MESSAGES, stream=True,
        extra_headers={"x-simulate": "no-usage,tokens=30"},
    ) as raw:  # fmt: skip
        decision_id = raw.headers["x-spendra-decision-id"]
        text = "".join(c.choices[0].delta.content or "" for c in raw.parse() if c.choices)
    decision = one_settlement(system, decision_id)
    assert decision["usage_confidence"] == "counted"
    assert decision["usage"]["output_tokens"] > 0
    assert text


def test_the_sdks_exception_for_an_exhausted_budget_says_what_to_do(system: System) -> None:
    budget = system.new_budget({"project": "broke"}, "0.000001")
    key = system.new_key({"project": "broke"})
    reached = system.provider()["total"]
    with pytest.raises(openai.APIStatusError) as caught:
        system.openai(key["key"]).chat.completions.create(model="gpt-4o", messages=MESSAGES)
    error = caught.value
    assert error.status_code == 402
    assert error.response.headers["x-should-retry"] == "false"
    details = error.body["spendra"]
    assert details["budget_id"] == budget["id"]
    assert details["remaining_nanousd"] == 1000
    assert details["held_nanousd"] == 0
    assert details["resets_at"]
    assert budget["name"] in str(error)
    assert system.provider()["total"] == reached
    refused = eventually(
        lambda: system.decision(details["decision_id"]), lambda d: d["state"] == "refused"
    )
    assert refused["reason"] == "budget_exhausted"
    assert system.spend(budget["id"])["held_nanousd"] == 0


def test_a_revoked_key_is_refused_within_a_second(system: System) -> None:
    key = system.new_key({"project": "short-lived"})
    client = system.openai(key["key"], max_retries=0)
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    system.ask("POST", f"/v1/keys/{key['id']}/revoke")
    with pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)


def test_a_model_outside_the_keys_allowlist_is_refused(system: System) -> None:
    key = system.new_key(models=["gpt-4o-*"])
    client = system.openai(key["key"])
    client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
    with pytest.raises(openai.PermissionDeniedError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert caught.value.code == "model_not_allowed"


def test_a_key_is_held_to_its_providers_and_tools(system: System) -> None:
    elsewhere = system.openai(system.new_key(providers=["anthropic", "goo*"])["key"])
    with pytest.raises(openai.PermissionDeniedError) as caught:
        elsewhere.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert caught.value.code == "provider_not_allowed"
    client = system.openai(system.new_key(providers=["openai"], tools=["look_*"])["key"])
    for name, is_let_through in (("look_up", True), ("delete", False)):
        tool: Any = {"type": "function", "function": {"name": name, "parameters": {}}}
        asked: Any = {"model": "gpt-4o", "messages": MESSAGES, "tools": [tool]}
        if is_let_through:
            client.chat.completions.create(**asked)
            continue
        with pytest.raises(openai.PermissionDeniedError) as caught:
            client.chat.completions.create(**asked)
        assert caught.value.code == "tool_not_allowed"


def test_a_delegated_key_spends_of_the_budget_of_the_key_above(system: System) -> None:
    above = system.new_key()
    below = system.new_key(delegated_from=above["id"])
    deepest = system.new_key(delegated_from=below["id"])
    budget = system.new_budget({"key": above["id"]}, "0.000001")
    for key in (above, below, deepest):
        with pytest.raises(openai.APIStatusError) as caught:
            system.openai(key["key"], max_retries=0).chat.completions.create(
                model="gpt-4o", messages=MESSAGES
            )
        assert caught.value.code == "budget_exhausted"
    system.ask("PATCH", f"/v1/budgets/{budget['id']}", {"limit_usd": "1"})
    system.pushed()
    system.openai(deepest["key"]).chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert system.drained(budget["id"])["settled_nanousd"] > 0


def test_an_unpriced_model_is_refused(system: System) -> None:
    with pytest.raises(openai.PermissionDeniedError) as caught:
        system.openai().chat.completions.create(model="nobody-knows-this", messages=MESSAGES)
    assert caught.value.code == "unpriced_model"


@pytest.mark.parametrize("key", ["", "nonsense", "spd_live_000000000000_" + "0" * 38])
def test_a_key_that_is_not_one_is_refused(system: System, key: str) -> None:
    with pytest.raises(openai.AuthenticationError):
        system.openai(key or "x", max_retries=0).chat.completions.create(
            model="gpt-4o", messages=MESSAGES
        )


def test_unknown_routes_do_not_leave(system: System) -> None:
    reached = system.provider()["total"]
    with pytest.raises(openai.NotFoundError, match="unmetered_ceiling_usd"):
        system.openai().vector_stores.create(name="papers")
    assert system.provider()["total"] == reached


def test_a_policys_rate_limit_answers_429_with_when_to_try_again(system: System) -> None:
    rules = {"requests_per_minute": 2}
    scope = {"project": "slow"}
    system.ask("POST", "/v1/policies", {"name": "slow", "scope": scope, "rules": rules})
    client = system.openai(system.new_key(scope)["key"], max_retries=0)
    for _ in range(2):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 31


def test_near_a_cap_a_request_is_held_by_its_counted_tokens(system: System) -> None:
    """Bytes bound what fits anyway; where they do not fit, the exact count may."""
    asked: Any = {"model": "gpt-4o", "max_tokens": 1}
    asked["messages"] = [{"role": "user", "content": "The budget of the quarter is tight. " * 100}]

    def held(limit_usd: str, name: str) -> int:
        system.new_budget({"project": name}, limit_usd)
        client = system.openai(system.new_key({"project": name})["key"])
        answer = client.chat.completions.with_raw_response.create(**asked)
        decision = system.ended(answer.headers["x-spendra-decision-id"])
        return int(decision["reserved_nanousd"])

    by_bytes = held("1", "wide")
    by_tokens = held(f"{by_bytes / 2e9:.9f}", "tight")
    assert by_tokens < by_bytes / 2
    with pytest.raises(openai.APIStatusError) as refused:
        held(f"{by_tokens / 2e9:.9f}", "tighter")
    assert refused.value.status_code == 402
