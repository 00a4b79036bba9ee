"""Chat completions in OpenAI's exact shape, plain and streamed, with true token counts."""

from itertools import zip_longest
from typing import Any, Final

import msgspec

from spendra.command.simulator import calls
from spendra.command.simulator.shape import Shape
from spendra.command.simulator.text import pieces_within, spoken
from spendra.command.simulator.tokens import count_chat_tokens, count_tokens

_FINGERPRINT: Final = "fp_simulated"
_NO_LIMIT: Final = 2**31
Delta = dict[str, object]


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class ChatRequest(msgspec.Struct, frozen=True):
    """The fields that shape an answer; the rest of the body only counts as tokens."""

    model: str
    messages: msgspec.Raw
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    tools: list[calls.Tool] | None = None
    tool_choice: str | calls.NamedChoice | None = None
    service_tier: str | None = None

    @property
    def output_limit(self) -> int | None:
        limits = (self.max_completion_tokens, self.max_tokens)
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def tier(self) -> str:
        return self.service_tier if self.service_tier not in (None, "auto") else "default"


class Choice(msgspec.Struct, frozen=True):
    """One choice: the pieces of its text, or of the arguments of the tool that it calls."""

    index: int
    pieces: tuple[str, ...]
    finish: str
    call: calls.ToolCall | None = None

    def tokens(self, model: str) -> int:
        return count_tokens("".join(self.pieces), model)


class Completion(msgspec.Struct, frozen=True):
    """An answer, decided but not yet written."""

    id: str
    created: int
    request: ChatRequest
    choices: list[Choice]
    usage: dict[str, object]


def complete(request: ChatRequest, body: bytes, shape: Shape, serial: int, now: int) -> Completion:
    """Decide the answer to `request`, whose bytes are `body`."""
    choices = [_choice(request, index, shape.tokens) for index in range(request.n or 1)]
    output = sum(choice.tokens(request.model) for choice in choices)
    usage = _usage(count_chat_tokens(body, request.model), output)
    return Completion(f"chatcmpl-sim{serial:026d}", now, request, choices, usage)


def _choice(request: ChatRequest, index: int, tokens: int) -> Choice:
    limit = _NO_LIMIT if request.output_limit is None else request.output_limit
    call = calls.forced_call(request.tools, request.tool_choice, index)
    if call is None:
        finish = "length" if tokens > limit else "stop"
        return Choice(index, spoken(min(tokens, limit), index, request.model), finish)
    pieces = pieces_within(call.arguments, limit, request.model)
    whole = "".join(pieces) == call.arguments
    return Choice(index, pieces, "tool_calls" if whole else "length", call)


def _usage(prompt: int, output: int) -> dict[str, object]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


# --- plain --------------------------------------------------------------------------------


def plain(done: Completion, shape: Shape) -> bytes:
    """The whole body."""
    body: dict[str, Any] = {
        "id": done.id,
        "object": "chat.completion",
        "created": done.created,
        "model": done.request.model,
        "choices": [_whole(choice) for choice in done.choices],
        "usage": done.usage,
        "service_tier": done.request.tier,
        "system_fingerprint": _FINGERPRINT,
    }
    if shape.usage == "none":
        del body["usage"]
    return msgspec.json.encode(body)


def _whole(choice: Choice) -> dict[str, object]:
    text = "".join(choice.pieces)
    message: Delta = {"role": "assistant", "content": None if choice.call else text}
    if choice.call:
        message["tool_calls"] = [calls.whole(choice.call, text)]
    message |= {"refusal": None, "annotations": []}
    return {
        "index": choice.index,
        "message": message,
        "logprobs": None,
        "finish_reason": choice.finish,
    }


# --- streamed -----------------------------------------------------------------------------


def streamed(done: Completion, shape: Shape) -> list[bytes]:
    """The events of the stream, `[DONE]` last. Usage only where the request asked for it."""
    options = done.request.stream_options
    asked = bool(options and options.include_usage)
    writer = _EventWriter(done, b',"usage":null}\n\n' if asked else b"}\n\n")
    events = [writer.event(choice, _opening(choice)) for choice in done.choices]
    for row in zip_longest(*(choice.pieces for choice in done.choices)):
        said = zip(done.choices, row, strict=True)
        events += [writer.event(c, _piece(c, piece)) for c, piece in said if piece is not None]
    events += [writer.event(choice, {}, choice.finish) for choice in done.choices]
    if asked:
        events += [writer.usage_event()] * {"none": 0, "once": 1, "twice": 2}[shape.usage]
    return [*events, b"data: [DONE]\n\n"]


def _opening(choice: Choice) -> Delta:
    if choice.call is None:
        return {"role": "assistant", "content": "", "refusal": None}
    return {"role": "assistant", "content": None, **calls.opening(choice.call), "refusal": None}


def _piece(choice: Choice, piece: str) -> Delta:
    return calls.piece(piece) if choice.call else {"content": piece}


class _EventWriter:
    """Writes events round what all events of one stream share."""

    def __init__(self, done: Completion, tail: bytes) -> None:
        shared = {
            "id": done.id,
            "object": "chat.completion.chunk",
            "created": done.created,
            "model": done.request.model,
            "service_tier": done.request.tier,
            "system_fingerprint": _FINGERPRINT,
        }
        self._head = b"data: " + msgspec.json.encode(shared)[:-1] + b',"choices":['
        self._tail = b"]" + tail
        self._usage = msgspec.json.encode(done.usage)
        self._encode = msgspec.json.Encoder().encode

    def event(self, choice: Choice, delta: Delta, finish: str | None = None) -> bytes:
        said = {
            "index": choice.index,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish,
        }
        return self._head + self._encode(said) + self._tail

    def usage_event(self) -> bytes:
        return self._head + b'],"usage":' + self._usage + b"}\n\n"
