"""Chat completions and legacy completions in OpenAI's shape, and how others differ from it.

Differences are keyed by family: Mistral and OpenRouter tell usage with the finish, OpenRouter with
what it costs; Azure opens a stream with its prompt filter; Gemini hides its thinking in the total.
"""

from itertools import zip_longest
from typing import Any, Final

import msgspec

from spendra.command.simulator.call import Call, Refused
from spendra.command.simulator.speech import Asked, Reply, Speech, calls, text_tokens
from spendra.command.simulator.speech.tokens import count_chat_tokens

_FINGERPRINT: Final = "fp_simulated"
_DONE: Final = b"data: [DONE]\n\n"
_FINISH: Final = {"length": "length", "stop": "stop", "tool": "tool_calls"}
_USAGE_WITH_FINISH: Final = frozenset({"mistral", "openrouter"})
_UNKNOWN_TO_MISTRAL: Final = ("stream_options", "max_completion_tokens", "store")
_USD_PER_TOKEN: Final = 0.000001
_FILTERED: Final = [{"prompt_index": 0, "content_filter_results": {}}]
Delta = dict[str, object]


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class ChatRequest(msgspec.Struct, frozen=True):
    """The fields that shape an answer; the rest of the body only counts as tokens."""

    messages: msgspec.Raw
    model: str | None = None
    agent_id: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    tools: list[calls.Tool] | None = None
    tool_choice: str | calls.NamedChoice | None = None
    service_tier: str | None = None

    @property
    def limit(self) -> int | None:
        limits = (self.max_completion_tokens, self.max_tokens)
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def forced(self) -> calls.Function | None:
        functions = [tool.function for tool in self.tools or ()]
        if isinstance(self.tool_choice, calls.NamedChoice):
            return calls.named(functions, self.tool_choice.function.name)
        # "any" is Mistral's word for it.
        return calls.named(functions, None) if self.tool_choice in ("required", "any") else None


def read(call: Call) -> Asked:
    """A chat completions request; the model of an Azure deployment stands in the path."""
    asked = call.decoded(ChatRequest)
    if call.family == "mistral":
        _refuse_unknown(call.request.body)
    model = call.words.get("deployment") or asked.model or asked.agent_id
    if not model:
        raise Refused(400, "you must provide a model parameter")
    try:
        tokens = count_chat_tokens(call.request.body, model)
    except ValueError as unreadable:
        raise Refused(400, str(unreadable), "messages") from unreadable
    return Asked(
        model=model,
        input_tokens=tokens,
        stream=bool(asked.stream),
        limit=asked.limit,
        choices=asked.n or 1,
        tool=asked.forced,
        tier=asked.service_tier if asked.service_tier not in (None, "auto") else "default",
        include_usage=bool(asked.stream_options and asked.stream_options.include_usage),
    )


def _refuse_unknown(body: bytes) -> None:
    """Mistral takes no field that it does not know."""
    named = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    for name in filter(named.__contains__, _UNKNOWN_TO_MISTRAL):
        raise Refused(422, "Extra inputs are not permitted", name)


def usage(speech: Speech, family: str) -> dict[str, object]:
    """The usage object as the family writes it."""
    hidden = speech.reasoning if family == "google" else 0
    told: dict[str, object] = {
        "prompt_tokens": speech.input_tokens,
        "completion_tokens": speech.output_tokens - hidden,
        "total_tokens": speech.input_tokens + speech.output_tokens,
    }
    if family == "google":
        return told
    told["prompt_tokens_details"] = {"cached_tokens": speech.cached, "audio_tokens": 0}
    if family == "mistral":
        return told
    told["completion_tokens_details"] = {
        "reasoning_tokens": speech.reasoning,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    }
    return told | (_billed(speech) if family == "openrouter" else {})


def _billed(speech: Speech) -> dict[str, object]:
    cost = stated_cost_usd(speech.input_tokens, speech.output_tokens)
    upstream = {"upstream_inference_cost": cost}
    return {"cost": cost, "is_byok": False, "cost_details": upstream}


def stated_cost_usd(input_tokens: int, output_tokens: int) -> float:
    """What the simulated OpenRouter charges: a dollar for a million tokens."""
    return round((input_tokens + output_tokens) * _USD_PER_TOKEN, 9)


def answer_id(speech: Speech, family: str) -> str:
    return f"gen-sim{speech.serial}" if family == "openrouter" else f"chatcmpl-sim{speech.serial}"


# --- plain --------------------------------------------------------------------------------


def plain(speech: Speech, family: str) -> object:
    """The whole body."""
    body: dict[str, Any] = {
        "id": answer_id(speech, family),
        "object": "chat.completion",
        "created": speech.now,
        "model": speech.model,
        "choices": [_whole(reply) for reply in speech.replies],
        "usage": usage(speech, family),
        "service_tier": speech.asked.tier,
        "system_fingerprint": _FINGERPRINT,
    }
    if not speech.times:
        del body["usage"]
    return body


def _whole(reply: Reply) -> dict[str, object]:
    message: Delta = {"role": "assistant", "content": None if reply.tool else reply.text}
    if reply.tool:
        message["tool_calls"] = [_called(reply, reply.text)]
    message |= {"refusal": None, "annotations": []}
    return {
        "index": reply.index,
        "message": message,
        "logprobs": None,
        "finish_reason": _FINISH[reply.finish],
    }


def _called(reply: Reply, arguments: str) -> dict[str, object]:
    function = {"name": reply.tool, "arguments": arguments}
    return {"id": f"call_sim{reply.index:021d}", "type": "function", "function": function}


# --- streamed -----------------------------------------------------------------------------


def streamed(speech: Speech, family: str) -> list[bytes]:
    """The events of the stream, `[DONE]` last. Usage only where the request or the family asks."""
    asked = speech.asked.include_usage and family not in _USAGE_WITH_FINISH
    writer = _EventWriter(speech, family, tail=b',"usage":null}\n\n' if asked else b"}\n\n")
    events = writer.prologue()
    events += [writer.event(reply, _opening(reply)) for reply in speech.replies]
    for row in zip_longest(*(reply.pieces for reply in speech.replies)):
        said = zip(speech.replies, row, strict=True)
        events += [writer.event(r, _piece(r, piece)) for r, piece in said if piece is not None]
    events += [writer.event(r, {}, _FINISH[r.finish]) for r in speech.replies]
    if family in _USAGE_WITH_FINISH and speech.times:
        events[-1:] = [writer.with_usage(events[-1])] * speech.times
    if asked:
        events += [writer.usage_event()] * speech.times
    return [*events, _DONE]


def _opening(reply: Reply) -> Delta:
    if reply.tool is None:
        return {"role": "assistant", "content": "", "refusal": None}
    opened = [{"index": 0, **_called(reply, "")}]
    return {"role": "assistant", "content": None, "tool_calls": opened, "refusal": None}


def _piece(reply: Reply, piece: str) -> Delta:
    if reply.tool is None:
        return {"content": piece}
    return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


class _EventWriter:
    """Writes events round what all events of one stream share."""

    def __init__(self, speech: Speech, family: str, *, tail: bytes) -> None:
        self._shared = {
            "id": answer_id(speech, family),
            "object": "chat.completion.chunk",
            "created": speech.now,
            "model": speech.model,
            "service_tier": speech.asked.tier,
            "system_fingerprint": _FINGERPRINT,
        }
        self._family = family
        self._head = b"data: " + msgspec.json.encode(self._shared)[:-1] + b',"choices":['
        self._tail = b"]" + tail
        self._usage = msgspec.json.encode(usage(speech, family))
        self._encode = msgspec.json.Encoder().encode

    def prologue(self) -> list[bytes]:
        """What comes before the first choice."""
        if self._family == "openrouter":
            return [b": OPENROUTER PROCESSING\n\n"]
        if self._family != "azure":
            return []
        filtered = {"prompt_filter_results": _FILTERED, "usage": None}
        first = {**self._shared, "model": "", "choices": [], **filtered}
        return [b"data: " + self._encode(first) + b"\n\n"]

    def event(self, reply: Reply, delta: Delta, finish: str | None = None) -> bytes:
        said = {
            "index": reply.index,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish,
        }
        return self._head + self._encode(said) + self._tail

    def with_usage(self, event: bytes) -> bytes:
        return event.removesuffix(b"}\n\n") + b',"usage":' + self._usage + b"}\n\n"

    def usage_event(self) -> bytes:
        return self._head + b'],"usage":' + self._usage + b"}\n\n"


# --- legacy completions, and Mistral's fill in the middle -----------------------------------


class CompletionRequest(msgspec.Struct, frozen=True):
    model: str
    prompt: str | list[Any]
    suffix: str | None = None
    max_tokens: int | None = None
    n: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None


def read_completion(call: Call) -> Asked:
    """OpenAI's limit is 16 where none is given; every prompt is answered `n` times."""
    asked = call.decoded(CompletionRequest)
    prompts = asked.prompt if isinstance(asked.prompt, list) else [asked.prompt]
    several = len(prompts) if prompts and not isinstance(prompts[0], int) else 1
    fallback = None if call.family == "mistral" else 16
    return Asked(
        model=asked.model,
        input_tokens=_prompt_tokens(asked),
        stream=bool(asked.stream),
        limit=fallback if asked.max_tokens is None else asked.max_tokens,
        choices=several * (asked.n or 1),
        include_usage=bool(asked.stream_options and asked.stream_options.include_usage),
    )


def _prompt_tokens(asked: CompletionRequest) -> int:
    if isinstance(asked.prompt, list) and asked.prompt and not isinstance(asked.prompt[0], str):
        return sum(1 if isinstance(item, int) else len(item) for item in asked.prompt)
    return text_tokens([asked.prompt, asked.suffix], asked.model)


def plain_completion(speech: Speech, family: str) -> object:
    body: dict[str, Any] = {**_completion(speech), "choices": [_text(r) for r in speech.replies]}
    return body | ({"usage": usage(speech, family)} if speech.times else {})


def streamed_completion(speech: Speech, family: str) -> list[bytes]:
    shared = _completion(speech)
    asked = speech.asked.include_usage
    events: list[dict[str, Any]] = [
        {**shared, "choices": [{"index": r.index, "text": piece, "finish_reason": None}]}
        for r in speech.replies
        for piece in r.pieces
    ]
    events += [{**shared, "choices": [{**_text(r), "text": ""}]} for r in speech.replies]
    if asked:
        events = [{**event, "usage": None} for event in events]
        events += [{**shared, "choices": [], "usage": usage(speech, family)}] * speech.times
    return [b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events] + [_DONE]


def _completion(speech: Speech) -> dict[str, Any]:
    shared = {"id": f"cmpl-sim{speech.serial}", "object": "text_completion"}
    return {**shared, "created": speech.now, "model": speech.model}


def _text(reply: Reply) -> dict[str, object]:
    finish = _FINISH[reply.finish]
    return {"index": reply.index, "text": reply.text, "logprobs": None, "finish_reason": finish}
