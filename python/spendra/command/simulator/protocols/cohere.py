"""Cohere: chat of version 2 (named events) and of version 1 (NDJSON), and version 1's generate."""

from typing import Any, Final

import msgspec

from spendra.command.simulator.call import Call
from spendra.command.simulator.protocols import framing
from spendra.command.simulator.speech import Asked, Reply, Speech, calls, text_tokens

_FINISH: Final = {"length": "MAX_TOKENS", "stop": "COMPLETE", "tool": "TOOL_CALL"}
_PREAMBLE_TOKENS: Final = 500
"""What the provider adds to a prompt and does not bill."""
_VERSION: Final = {"api_version": {"version": "1"}}


class CohereRequest(msgspec.Struct, frozen=True):
    """Version 2 has `messages`, version 1 `message` or `prompt`."""

    model: str = "command-a-03-2025"
    messages: Any = None
    message: Any = None
    prompt: Any = None
    chat_history: Any = None
    stream: bool | None = None
    max_tokens: int | None = None
    tools: list[calls.Tool] | None = None
    tool_choice: str | None = None


def read(call: Call) -> Asked:
    asked = call.decoded(CohereRequest)
    texts = [asked.messages, asked.message, asked.prompt, asked.chat_history]
    functions = [tool.function for tool in asked.tools or ()]
    return Asked(
        model=asked.model,
        input_tokens=text_tokens([text for text in texts if text is not None], asked.model),
        stream=bool(asked.stream),
        limit=asked.max_tokens,
        tool=calls.named(functions, None) if asked.tool_choice == "REQUIRED" else None,
    )


def _counts(speech: Speech) -> dict[str, object]:
    billed = {"input_tokens": speech.input_tokens, "output_tokens": speech.output_tokens}
    processed = {**billed, "input_tokens": speech.input_tokens + _PREAMBLE_TOKENS}
    return {"billed_units": billed, "tokens": processed}


def _id(speech: Speech) -> str:
    return f"00000000-0000-4000-8000-{speech.serial:012d}"


# --- version 2 ----------------------------------------------------------------------------


def plain(speech: Speech, family: str) -> object:  # noqa: ARG001 (one shape in every family)
    (reply,) = speech.replies
    body = {"id": _id(speech), "message": _message(reply), "finish_reason": _FINISH[reply.finish]}
    return body | ({"usage": _counts(speech)} if speech.times else {})


def _message(reply: Reply) -> dict[str, object]:
    if reply.tool is None:
        return {"role": "assistant", "content": [{"type": "text", "text": reply.text}]}
    return {"role": "assistant", "tool_calls": [_call(reply, reply.text)], "tool_plan": "I call."}


def _call(reply: Reply, arguments: str) -> dict[str, object]:
    function = {"name": reply.tool, "arguments": arguments}
    return {"id": f"{reply.tool}_sim", "type": "function", "function": function}


def streamed(speech: Speech, family: str) -> list[bytes]:  # noqa: ARG001 (one shape)
    (reply,) = speech.replies
    empty: dict[str, object] = {
        "role": "assistant",
        "content": [],
        "tool_plan": "",
        "tool_calls": [],
        "citations": [],
    }
    ended: dict[str, object] = {"finish_reason": _FINISH[reply.finish]}
    ended |= {"usage": _counts(speech)} if speech.times else {}
    start: dict[str, object] = {"type": "message-start", "delta": {"message": empty}}
    end: dict[str, object] = {"type": "message-end", "delta": ended}
    events: list[dict[str, object]] = [
        {"id": _id(speech), **start},
        *(_called(reply) if reply.tool else _spoken(reply)),
        *([end] * max(speech.times, 1)),
    ]
    return [*framing.named(events), b"data: [DONE]\n\n"]


def _called(reply: Reply) -> list[dict[str, object]]:
    pieces = [{"function": {"arguments": piece}} for piece in reply.pieces]
    return [
        _in_message("tool-call-start", {"tool_calls": _call(reply, "")}),
        *(_in_message("tool-call-delta", {"tool_calls": piece}) for piece in pieces),
        {"type": "tool-call-end", "index": 0},
    ]


def _spoken(reply: Reply) -> list[dict[str, object]]:
    start: dict[str, object] = {"content": {"type": "text", "text": ""}}
    return [
        _in_message("content-start", start),
        *(_in_message("content-delta", {"content": {"text": piece}}) for piece in reply.pieces),
        {"type": "content-end", "index": 0},
    ]


def _in_message(kind: str, message: dict[str, object]) -> dict[str, object]:
    return {"type": kind, "index": 0, "delta": {"message": message}}


# --- version 1 ----------------------------------------------------------------------------


def plain_v1(speech: Speech, family: str) -> dict[str, object]:  # noqa: ARG001 (one shape)
    (reply,) = speech.replies
    return {
        "response_id": _id(speech),
        "generation_id": _id(speech),
        "text": reply.text,
        "chat_history": [],
        "finish_reason": _FINISH[reply.finish],
        "meta": _meta(speech),
    }


def _meta(speech: Speech) -> dict[str, object]:
    return _VERSION | (_counts(speech) if speech.times else {})


def streamed_v1(speech: Speech, family: str) -> list[bytes]:
    (reply,) = speech.replies
    last = plain_v1(speech, family)
    end = {"finish_reason": last["finish_reason"], "response": last}
    said: list[dict[str, object]] = [
        {"event_type": "text-generation", "text": piece} for piece in reply.pieces
    ]
    events: list[dict[str, object]] = [
        {"event_type": "stream-start", "generation_id": _id(speech)},
        *said,
    ]
    ends = [{"is_finished": True, "event_type": "stream-end", **end}] * max(speech.times, 1)
    return framing.ndjson([*({"is_finished": False, **event} for event in events), *ends])


def plain_generate(speech: Speech, family: str) -> object:  # noqa: ARG001 (one shape)
    (reply,) = speech.replies
    said = {"id": _id(speech), "text": reply.text, "finish_reason": _FINISH[reply.finish]}
    return {"id": _id(speech), "generations": [said], "meta": _meta(speech)}


def streamed_generate(speech: Speech, family: str) -> list[bytes]:
    (reply,) = speech.replies
    pieces: list[dict[str, object]] = [{"text": p, "is_finished": False} for p in reply.pieces]
    last: dict[str, object] = {"is_finished": True, "finish_reason": _FINISH[reply.finish]}
    return framing.ndjson([*pieces, {**last, "response": plain_generate(speech, family)}])
