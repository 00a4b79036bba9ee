"""An error inside of an answer that began with 200: what was made before it is paid, no more."""

from typing import Any

import pytest

from tests.system.scripted.bodies import (
    GEMINI,
    MESSAGES,
    RESPONSES,
    STREAM,
    counts,
    event,
    gemini,
    named,
    piece,
)
from tests.system.scripted.product import CHAT, Product
from tests.system.scripted.upstream import Answer, said, streamed

FAILED = {"error": {"message": "overloaded", "type": "server_error", "code": "x"}}
UNAVAILABLE = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
OVERLOADED = event("error", error={"type": "overloaded_error", "message": "overloaded"})
QUOTA = {"type": "insufficient_quota", "code": "insufficient_quota", "message": "no quota"}
ENDED = {"id": "resp_1", "model": "gpt-5", "status": "failed", "error": QUOTA, "usage": None}
BEGUN = {"model": MESSAGES["model"], "usage": {"input_tokens": 25, "output_tokens": 1}}
TEXT = "Yes, water is wet."
TOKENS = 6
"""Of that text, in OpenAI's vocabularies."""
COMPLETIONS = "chat/completions"
CREATED = event("response.created", response={"id": "resp_1", "model": "gpt-5", "usage": None})

BEFORE: list[tuple[str, str, dict[str, Any], Answer]] = [
    ("openai", COMPLETIONS, {**CHAT, "stream": True}, streamed(FAILED)),
    (
        "openai",
        "responses",
        {**RESPONSES, "stream": True},
        # As OpenAI itself ends a stream where a quota is used up.
        named(CREATED, event("error", error=QUOTA), event("response.failed", response=ENDED)),
    ),
    ("anthropic", "v1/messages", {**MESSAGES, "stream": True}, named(OVERLOADED)),
    ("google", STREAM, GEMINI, streamed(UNAVAILABLE)),
    # OpenRouter, whose errors after the start come with a status of 200.
    (
        "openrouter",
        COMPLETIONS,
        {**CHAT, "model": "openai/gpt-4o-mini"},
        said({"error": {"code": 502, "message": "the provider failed"}}),
    ),
    (
        "openrouter",
        COMPLETIONS,
        {**CHAT, "model": "openai/gpt-4o-mini", "stream": True},
        streamed(b": OPENROUTER PROCESSING\n\n", {"error": {"code": 502, "message": "failed"}}),
    ),
]


@pytest.mark.parametrize(
    ("kind", "path", "body", "answer"), BEFORE, ids=[f"{b[0]}-{n}" for n, b in enumerate(BEFORE)]
)
def test_an_error_before_anything_was_made_is_free_and_passed_on_as_it_is(
    product: Product, kind: str, path: str, body: dict[str, Any], answer: Answer
) -> None:
    at = product.project()
    came = product.post(f"/v1/{product.route(kind, answer)}/{path}", body, at)
    assert came.status_code == 200
    assert came.content == (b"".join(answer.pieces) or answer.body)
    decision = product.ended(came)
    assert (decision["reason"], decision["cost_nanousd"]) == ("upstream_error", 0)
    assert at.settled() == 0


AFTER: list[tuple[str, str, dict[str, Any], Answer, int]] = [
    (
        "openai",
        COMPLETIONS,
        {**CHAT, "stream": True},
        streamed(piece("gpt-4o-mini", TEXT), FAILED),
        TOKENS * 600,
    ),
    (
        "openai",
        "responses",
        {**RESPONSES, "stream": True},
        named(
            CREATED,
            event("response.output_text.delta", delta=TEXT),
            event("error", error=QUOTA),
            event("response.failed", response=ENDED),
        ),
        TOKENS * 10_000,
    ),
    (
        "anthropic",
        "v1/messages",
        {**MESSAGES, "stream": True},
        named(
            event("message_start", message=BEGUN),
            event("content_block_delta", delta={"type": "text_delta", "text": TEXT}),
            OVERLOADED,
        ),
        25 * 1000 + TOKENS * 5000,
    ),
    (
        "google",
        STREAM,
        GEMINI,
        streamed(gemini(counts(20, TOKENS), TEXT), UNAVAILABLE),
        20 * 300 + TOKENS * 2500,
    ),
]


@pytest.mark.parametrize(
    ("kind", "path", "body", "answer", "least_nanousd"),
    AFTER,
    ids=[f"{a[0]}-{n}" for n, a in enumerate(AFTER)],
)
def test_what_was_made_before_an_error_is_paid(
    product: Product,
    kind: str,
    path: str,
    body: dict[str, Any],
    answer: Answer,
    least_nanousd: int,
) -> None:
    came = product.post(f"/v1/{product.route(kind, answer)}/{path}", body)
    assert came.content == b"".join(answer.pieces)
    decision = product.ended(came)
    assert decision["state"] == "posted"
    assert least_nanousd <= decision["cost_nanousd"] < decision["reserved_nanousd"]
    assert decision["usage"]["output_tokens"] >= TOKENS
