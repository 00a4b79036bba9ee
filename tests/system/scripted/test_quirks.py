"""Ways of telling usage that cost money where they are taken at their word.

Amounts are in nano-USD for a token, from the providers' public price lists.
"""

import gzip
import json

import pytest

from tests.system.scripted.bodies import (
    DONE,
    GEMINI,
    GENERATE,
    MESSAGES,
    STREAM,
    chat,
    counts,
    event,
    gemini,
    message,
    named,
    piece,
    tokens,
)
from tests.system.scripted.product import CHAT, SAY, Product
from tests.system.scripted.upstream import Answer, said, streamed

FLASH_IN, FLASH_OUT = 300, 2500
HAIKU_IN, HAIKU_READ, HAIKU_WRITE, HAIKU_WRITE_1H, HAIKU_OUT = 1000, 100, 1250, 2000, 5000
MINI_IN, MINI_CACHED, MINI_OUT = 150, 75, 600


def cost(product: Product, kind: str, path: str, body: object, *answers: Answer) -> int:
    """What is booked for an answer at a provider of that kind."""
    name = product.route(kind, *answers)
    decision = product.booked(f"/v1/{name}/{path}", body)
    assert decision["usage_confidence"] == "reported"
    return int(decision["cost_nanousd"])


# --- Gemini --------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_that_only_the_total_shows_is_output(product: Product, *, stream: bool) -> None:
    usage = tokens(35, 12) | {"total_tokens": 109}
    model = "gemini-2.5-flash"
    whole = said(chat(model, usage))
    flow = streamed(piece(model, "Yes."), piece(model, last=True, usage=usage), DONE)
    body = {**CHAT, "model": model, "stream": stream}
    path = "v1beta/openai/chat/completions"
    expected = 35 * FLASH_IN + (109 - 35) * FLASH_OUT
    assert cost(product, "google", path, body, flow if stream else whole) == expected


@pytest.mark.parametrize(("said_", "thought"), [(26, 305), (36, 269)])
def test_an_output_limit_that_is_not_hard_is_held_for(
    product: Product, said_: int, thought: int
) -> None:
    """256 tokens were asked for at most: `booked` checks that the hold was enough."""
    answer = said(gemini(counts(21, said_, thoughtsTokenCount=thought)))
    expected = 21 * FLASH_IN + (said_ + thought) * FLASH_OUT
    assert cost(product, "google", GENERATE, GEMINI, answer) == expected


def test_a_first_chunk_that_overstates_is_not_believed(product: Product) -> None:
    flow = streamed(gemini(counts(145, 0)), gemini(counts(145, 4)), gemini(counts(85, 15)))
    expected = 85 * FLASH_IN + 15 * FLASH_OUT
    assert cost(product, "google", STREAM, GEMINI, flow) == expected


def test_a_last_chunk_without_counts_says_nothing(product: Product) -> None:
    flow = streamed(gemini(counts(85, 15)), gemini({"trafficType": "ON_DEMAND"}))  # type: ignore[dict-item]
    expected = 85 * FLASH_IN + 15 * FLASH_OUT
    assert cost(product, "google", STREAM, GEMINI, flow) == expected


def test_tokens_of_tools_are_input_besides_the_prompt(product: Product) -> None:
    usage = counts(32, 25, thoughtsTokenCount=37, toolUsePromptTokenCount=4610)
    body = {**GEMINI, "tools": [{"codeExecution": {}}]}
    expected = (32 + 4610) * FLASH_IN + (25 + 37) * FLASH_OUT
    assert cost(product, "google", GENERATE, body, said(gemini(usage))) == expected


def test_modalities_may_be_numbers(product: Product) -> None:
    """Vertex with `$alt=json;enum-encoding=int`: 4 is audio, a dollar a million tokens."""
    parts = [{"modality": 1, "tokenCount": 20}, {"modality": 4, "tokenCount": 80}]
    usage = {**counts(100, 10), "promptTokensDetails": parts, "trafficType": 1}
    audio = {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}
    body = {**GEMINI, "contents": [{"role": "user", "parts": [audio]}]}
    expected = 20 * FLASH_IN + 80 * 1000 + 10 * FLASH_OUT
    assert cost(product, "google", GENERATE, body, said(gemini(usage))) == expected


# --- OpenAI's shape ------------------------------------------------------------------------------


def test_more_cached_tokens_than_the_prompt_has_are_cut_to_it(product: Product) -> None:
    model = "grok-4-1-fast-non-reasoning"
    usage = tokens(7, 8, prompt_tokens_details={"cached_tokens": 161})
    path = "openai/v1/chat/completions"
    body = {**CHAT, "model": model}
    assert cost(product, "azure", path, body, said(chat(model, usage))) == 7 * 50 + 8 * 500


def test_usage_in_every_chunk_is_one_usage(product: Product) -> None:
    model = "deepseek-chat"
    flow = [piece(model, "Yes", usage=tokens(100, n)) for n in range(1, 20)]
    last = piece(model, last=True, usage=tokens(100, 20))
    name = product.route("deepseek", streamed(*flow, last, DONE))
    body = {**CHAT, "model": model, "stream": True, "stream_options": {"include_usage": True}}
    usage = product.booked(f"/v1/{name}/chat/completions", body)["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (100, 20)


def test_a_cost_in_every_chunk_is_one_cost(product: Product) -> None:
    """Perplexity's grow, and its streams end without `[DONE]`."""
    flow = [
        piece("sonar", "Yes", last=n == 5, usage=tokens(8, n, cost={"total_cost": n / 1000}))
        for n in range(1, 6)
    ]
    body = {**CHAT, "model": "sonar", "stream": True}
    path = "chat/completions"
    assert cost(product, "perplexity", path, body, streamed(*flow)) == 5_000_000


def test_usage_that_stands_only_under_x_groq_is_found(product: Product) -> None:
    model = "llama-3.3-70b-versatile"
    usage = {"x_groq": {"id": "req_1", "usage": tokens(40, 20)}}
    flow = streamed(piece(model, "Yes."), piece(model, last=True, **usage), DONE)
    body = {**CHAT, "model": model, "stream": True}
    path = "openai/v1/chat/completions"
    assert cost(product, "groq", path, body, flow) == 40 * 590 + 20 * 790


def test_a_first_chunk_without_a_model_is_no_answer_of_another_one(product: Product) -> None:
    """Azure's filter comes first; the deployment's model is named after it."""
    first = {"id": "", "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    model = "gpt-4o-mini-2024-07-18"
    usage = {**piece(model), "choices": [], "usage": tokens(10, 5)}
    flow = streamed(first, piece(model, "Yes.", last=True), usage, DONE)
    name = product.route("azure", flow, model_names={"ours": "gpt-4o-mini"})
    path = f"/v1/{name}/openai/deployments/ours/chat/completions?api-version=2024-10-21"
    decision = product.booked(path, {**CHAT, "stream": True})
    assert (decision["model"], decision["cost_nanousd"]) == (model, 10 * MINI_IN + 5 * MINI_OUT)


def test_more_reasoning_than_output_takes_nothing_off(product: Product) -> None:
    details = {"completion_tokens_details": {"reasoning_tokens": 277}}
    model = "gpt-4o-mini"
    answer = said(chat(model, tokens(15, 56, **details)))
    assert cost(product, "openai", "chat/completions", CHAT, answer) == 15 * MINI_IN + 56 * MINI_OUT


def test_usage_in_a_compressed_answer_is_read(product: Product) -> None:
    body = gzip.compress(json.dumps(chat("gpt-4o-mini", tokens(10, 5))).encode())
    answer = Answer(body, headers={"content-encoding": "gzip"})
    name = product.route("openai", answer)
    came = product.post(f"/v1/{name}/chat/completions", CHAT, accept_encoding="gzip")
    assert came.headers["content-encoding"] == "gzip"
    assert came.json()["usage"]["prompt_tokens"] == 10
    assert product.ended(came)["cost_nanousd"] == 10 * MINI_IN + 5 * MINI_OUT


# --- Anthropic -----------------------------------------------------------------------------------


def test_anthropics_cached_tokens_come_besides_its_input(product: Product) -> None:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 2000,
        "cache_creation_input_tokens": 700,
        "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 200},
        "output_tokens": 30,
    }
    long = [{"role": "user", "content": "water " * 600}]
    expected = 10 * HAIKU_IN + 2000 * HAIKU_READ + 500 * HAIKU_WRITE + 200 * HAIKU_WRITE_1H
    expected += 30 * HAIKU_OUT
    body = {**MESSAGES, "messages": long}
    assert cost(product, "anthropic", "v1/messages", body, message(usage)) == expected


def test_a_later_count_overrides_an_earlier_one(product: Product) -> None:
    start = {"model": MESSAGES["model"], "usage": {"input_tokens": 25, "output_tokens": 1}}
    late = {"input_tokens": None, "cache_read_input_tokens": None, "output_tokens": 15}
    flow = named(
        event("message_start", message=start),
        event("message_delta", delta={"stop_reason": None}, usage={"output_tokens": 9}),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage=late),
        event("message_stop"),
    )
    body = {**MESSAGES, "stream": True}
    expected = 25 * HAIKU_IN + 15 * HAIKU_OUT
    assert cost(product, "anthropic", "v1/messages", body, flow) == expected


def test_compaction_is_billed_besides_the_message(product: Product) -> None:
    passes = [
        {"type": "compaction", "input_tokens": 900, "output_tokens": 81},
        {"type": "message", "input_tokens": 162, "output_tokens": 11},
    ]
    usage = {"input_tokens": 162, "output_tokens": 11, "iterations": passes}
    long = [{"role": "user", "content": "water " * 600}]
    body = {**MESSAGES, "messages": long}
    expected = (900 + 162) * HAIKU_IN + (81 + 11) * HAIKU_OUT
    assert cost(product, "anthropic", "v1/messages", body, message(usage)) == expected


def test_an_advisor_is_billed_at_its_own_models_price(product: Product) -> None:
    passes = [
        {"type": "message", "input_tokens": 100, "output_tokens": 10},
        {
            "type": "advisor_message",
            "model": "claude-sonnet-4-6",
            "input_tokens": 110,
            "output_tokens": 4,
        },
    ]
    usage = {"input_tokens": 100, "output_tokens": 10, "iterations": passes}
    long = [{"role": "user", "content": "water " * 600}]
    body = {**MESSAGES, "messages": long}
    expected = 100 * HAIKU_IN + 10 * HAIKU_OUT + 110 * 3000 + 4 * 15_000
    assert cost(product, "anthropic", "v1/messages", body, message(usage)) == expected


# --- Mistral and Cohere --------------------------------------------------------------------------


def test_mistrals_audio_comes_besides_its_prompt(product: Product) -> None:
    model = "voxtral-small-latest"
    usage = {"prompt_tokens": 5, "completion_tokens": 20, "total_tokens": 400}
    usage |= {"prompt_tokens_details": {"audio_tokens": 375}}  # type: ignore[dict-item]
    name = product.route("mistral", said(chat(model, usage)))
    decision = product.booked(f"/v1/{name}/v1/chat/completions", {**CHAT, "model": model})
    assert decision["cost_nanousd"] >= (5 + 375) * 100 + 20 * 400


def test_cohere_charges_the_billed_units(product: Product) -> None:
    """`tokens` has what the model read besides, which is not charged."""
    usage = {
        "billed_units": {"input_tokens": 6, "output_tokens": 2},
        "tokens": {"input_tokens": 1531, "output_tokens": 40},
    }
    told = {"message": {"role": "assistant", "content": [{"type": "text", "text": "Yes."}]}}
    answer = said({"id": "1", "finish_reason": "COMPLETE", **told, "usage": usage})
    body = {"model": "command-r", "messages": SAY, "max_tokens": 100}
    assert cost(product, "cohere", "v2/chat", body, answer) == 6 * 150 + 2 * 600
