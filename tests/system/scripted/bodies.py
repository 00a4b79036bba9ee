"""Answers in each provider's shape, with the usage that a test gives them."""

import json
from typing import Any

from tests.system.scripted.product import SAY
from tests.system.scripted.upstream import Answer, said, streamed

DONE = b"data: [DONE]\n\n"
MESSAGES: dict[str, Any] = {"model": "claude-haiku-4-5", "messages": SAY, "max_tokens": 100}
RESPONSES: dict[str, Any] = {"model": "gpt-5", "input": "Is water wet?", "max_output_tokens": 100}
GEMINI: dict[str, Any] = {
    "contents": [{"role": "user", "parts": [{"text": "Is water wet?"}]}],
    "generationConfig": {"maxOutputTokens": 256},
}
GENERATE = "v1beta/models/gemini-2.5-flash:generateContent"
STREAM = "v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"


def tokens(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    """OpenAI's usage object."""
    total = {"total_tokens": prompt + completion}
    return {"prompt_tokens": prompt, "completion_tokens": completion, **total, **more}


def chat(model: str, usage: object, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "Yes."}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"id": "c-1", "model": model, "choices": choices, "usage": usage, **more}


def piece(model: str, text: str = "", *, last: bool = False, **more: Any) -> dict[str, Any]:
    """Of a chat's stream."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": "stop" if last else None}
    return {"id": "c-1", "model": model, "choices": [choice], **more}


def message(usage: dict[str, Any], **more: Any) -> Answer:
    """Anthropic's, whole."""
    content = [{"type": "text", "text": "Yes."}]
    kind = {"id": "msg_1", "type": "message", "role": "assistant", "stop_reason": "end_turn"}
    return said({**kind, "model": MESSAGES["model"], "content": content, "usage": usage, **more})


def event(name: str, **data: Any) -> dict[str, Any]:
    """Of Anthropic's or of Responses' streams, which also name it within."""
    return {"type": name, **data}


def named(*events: dict[str, Any], **more: Any) -> Answer:
    """A stream whose events have names."""
    texts = [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]
    return streamed(*texts, **more)


def gemini(usage: dict[str, Any], text: str = "Yes.", **more: Any) -> dict[str, Any]:
    """A whole answer, or a piece of a stream."""
    content = {"role": "model", "parts": [{"text": text}]}
    candidate = {"content": content, "finishReason": "STOP", **more}
    model = {"modelVersion": "gemini-2.5-flash"}
    return {"candidates": [candidate], "usageMetadata": usage, **model}


def counts(prompt: int, candidates: int, **more: int) -> dict[str, int]:
    """Google's usage, without its total."""
    return {"promptTokenCount": prompt, "candidatesTokenCount": candidates, **more}


def response(usage: object, *output: dict[str, Any], **more: Any) -> dict[str, Any]:
    """OpenAI's Responses."""
    content = [{"type": "output_text", "text": "Yes."}]
    last = {"type": "message", "role": "assistant", "content": content}
    known = {"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-5"}
    return {**known, "output": [*output, last], "usage": usage, **more}


def units(given: int, made: int, **more: Any) -> dict[str, Any]:
    """Responses' usage."""
    return {"input_tokens": given, "output_tokens": made, "total_tokens": given + made, **more}
