"""What is billed by the call, and how often a provider may run its own tools: uses plus one.

Amounts are in nano-USD, from the providers' public price lists.
"""

from typing import Any

import pytest

from tests.system.scripted.bodies import (
    DONE,
    GEMINI,
    GENERATE,
    MESSAGES,
    RESPONSES,
    chat,
    counts,
    event,
    gemini,
    message,
    named,
    piece,
    response,
    tokens,
    units,
)
from tests.system.scripted.product import CHAT, Product
from tests.system.scripted.upstream import Answer, said, streamed

SEARCH = 10_000_000
"""Ten dollars a thousand: Anthropic's and OpenAI's."""
FILE_SEARCH = 2_500_000
GROUNDING = 35_000_000
FIVE = 100 * 1250 + 10 * 10_000
"""100 tokens in and 10 out, of gpt-5."""
HAIKU = 100 * 1000 + 10 * 5000
WEB = {"type": "web_search_20250305", "name": "web_search"}
SEARCHED = {"type": "web_search_call", "status": "completed", "action": {"type": "search"}}
VISITED = {"type": "web_search_call", "status": "completed", "action": {"type": "open_page"}}
LOOKED_UP = {"type": "file_search_call", "status": "completed", "queries": ["water"]}
FILES = {"type": "file_search", "vector_store_ids": ["vs_1"]}


def booked(product: Product, kind: str, path: str, body: object, answer: Answer) -> dict[str, Any]:
    name = product.route(kind, answer)
    return product.booked(f"/v1/{name}/{path}", body) | {"route": name}


# --- fees ----------------------------------------------------------------------------------------


def used(searches: int) -> dict[str, Any]:
    server = {"server_tool_use": {"web_search_requests": searches}}
    return {"input_tokens": 100, "output_tokens": 10, **server}


def test_anthropics_searches_are_billed_by_the_call(product: Product) -> None:
    body = {**MESSAGES, "tools": [WEB]}
    decision = booked(product, "anthropic", "v1/messages", body, message(used(3)))
    assert decision["cost_nanousd"] == HAIKU + 3 * SEARCH


def test_searches_that_a_stream_tells_at_its_end_are_billed(product: Product) -> None:
    start = {"model": MESSAGES["model"], "usage": {"input_tokens": 100, "output_tokens": 1}}
    flow = named(
        event("message_start", message=start),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage=used(2)),
        event("message_stop"),
    )
    body = {**MESSAGES, "tools": [WEB], "stream": True}
    decision = booked(product, "anthropic", "v1/messages", body, flow)
    assert decision["cost_nanousd"] == HAIKU + 2 * SEARCH


@pytest.mark.parametrize(
    ("items", "fee"),
    [
        ([SEARCHED, VISITED, SEARCHED], 2 * SEARCH),
        ([LOOKED_UP, LOOKED_UP, LOOKED_UP], 3 * FILE_SEARCH),
        ([SEARCHED, LOOKED_UP], SEARCH + FILE_SEARCH),
        ([VISITED], 0),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_calls_of_a_response_are_billed_by_the_call(
    product: Product, items: list[dict[str, Any]], fee: int, *, stream: bool
) -> None:
    whole = response(units(100, 10), *items)
    flow = named(event("response.created", response={"model": "gpt-5"}))
    last = named(event("response.completed", response=whole))
    answer = Answer(pieces=flow.pieces + last.pieces) if stream else said(whole)
    body = {**RESPONSES, "tools": [{"type": "web_search"}, FILES], "stream": stream}
    decision = booked(product, "openai", "responses", body, answer)
    assert decision["cost_nanousd"] == FIVE + fee


def test_a_count_that_the_provider_states_beats_what_is_listed(product: Product) -> None:
    stated = {"tool_usage": {"web_search": {"num_requests": 1}}}
    whole = response(units(100, 10), SEARCHED, SEARCHED, **stated)
    body = {**RESPONSES, "tools": [{"type": "web_search"}]}
    decision = booked(product, "openai", "responses", body, said(whole))
    assert decision["cost_nanousd"] == FIVE + SEARCH


@pytest.mark.parametrize("stream", [False, True])
def test_the_one_search_of_a_chat_is_billed_although_no_answer_tells_of_it(
    product: Product, *, stream: bool
) -> None:
    model = "gpt-4o-mini-search-preview"
    usage = tokens(100, 10)
    flow = streamed(piece(model, "Yes.", last=True), piece(model, usage=usage), DONE)
    whole = said(chat(model, usage))
    for options in ({}, {"web_search_options": {}}):
        body = {**CHAT, "model": model, "stream": stream, **options}
        answer = flow if stream else whole
        decision = booked(product, "openai", "chat/completions", body, answer)
        assert decision["cost_nanousd"] == 100 * 150 + 10 * 600 + SEARCH


def test_googles_grounding_is_billed_by_the_query(product: Product) -> None:
    grounded = {"groundingMetadata": {"webSearchQueries": ["is water wet", "wet"]}}
    body = {**GEMINI, "tools": [{"googleSearch": {}}]}
    decision = booked(product, "google", GENERATE, body, said(gemini(counts(100, 10), **grounded)))
    assert decision["cost_nanousd"] == 100 * 300 + 10 * 2500 + 2 * GROUNDING


def test_a_fee_for_each_request_is_billed_once(product: Product) -> None:
    """Perplexity's, where the answer states no cost: twelve dollars a thousand."""
    body = {**CHAT, "model": "sonar"}
    decision = booked(
        product, "perplexity", "chat/completions", body, said(chat("sonar", tokens(8, 5)))
    )
    assert decision["cost_nanousd"] == 8 * 1000 + 5 * 1000 + 12_000_000


def test_a_tool_without_a_price_does_not_leave(product: Product) -> None:
    name = product.route("openai", said(response(units(100, 10))))
    body = {**RESPONSES, "model": "gpt-3.5-turbo", "tools": [FILES]}
    answer = product.post(f"/v1/{name}/responses", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "unpriced_model")
    assert product.upstream.asked(name) == []


# --- how often a tool may run --------------------------------------------------------------------

WINDOW = 200_000
"""Of claude-haiku-4-5."""


@pytest.mark.parametrize("uses", [1, 3])
def test_the_hold_is_for_one_reading_more_than_the_uses(product: Product, uses: int) -> None:
    body = {**MESSAGES, "tools": [{**WEB, "max_uses": uses}]}
    decision = booked(product, "anthropic", "v1/messages", body, message(used(uses)))
    reading = WINDOW * 2000 + 100 * 5000  # the dearest input: written to the cache for an hour
    assert decision["reserved_nanousd"] == (uses + 1) * reading + uses * SEARCH


def test_where_a_request_does_not_say_five_uses_are_written_into_it(product: Product) -> None:
    body = {**MESSAGES, "tools": [WEB, {**WEB, "type": "web_fetch_20250910", "name": "web_fetch"}]}
    decision = booked(product, "anthropic", "v1/messages", body, message(used(10)))
    tools = product.one_asked(decision["route"]).json()["tools"]
    assert [tool["max_uses"] for tool in tools] == [5, 5]
    assert decision["reserved_nanousd"] >= 11 * WINDOW * 2000 + 10 * SEARCH


def test_a_response_gets_a_limit_on_its_tools_calls(product: Product) -> None:
    held = []
    for more, limit in (({}, 5), ({"max_tool_calls": 2}, 2)):
        body = {**RESPONSES, "tools": [{"type": "web_search"}], **more}
        answer = said(response(units(100, 10), SEARCHED))
        decision = booked(product, "openai", "responses", body, answer)
        assert product.one_asked(decision["route"]).json()["max_tool_calls"] == limit
        held.append(decision["reserved_nanousd"])
    most, fewer = held
    reading = 400_000 * 2500  # gpt-5's window at its dearest tier
    assert most - fewer == 3 * (reading + SEARCH)


def test_tools_that_callers_run_themselves_are_not_limited(product: Product) -> None:
    tool = {"name": "ask", "input_schema": {"type": "object"}}
    body = {**MESSAGES, "tools": [tool]}
    usage = {"input_tokens": 100, "output_tokens": 10}
    decision = booked(product, "anthropic", "v1/messages", body, message(usage))
    assert product.one_asked(decision["route"]).json() == body
    assert decision["reserved_nanousd"] < WINDOW * 1000
