"""Anthropic's Messages, at Anthropic and on Vertex: plain, and streamed as named events."""

from typing import Any, Final

import msgspec

from spendra.command.simulator.call import Call, Refused
from spendra.command.simulator.protocols import framing
from spendra.command.simulator.speech import Asked, Reply, Speech, calls, text_tokens

_STOP: Final = {"length": "max_tokens", "stop": "end_turn", "tool": "tool_use"}


class AnthropicTool(msgspec.Struct, frozen=True):
    name: str = ""
    input_schema: dict[str, Any] | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    type: str = "auto"
    name: str | None = None


class MessagesRequest(msgspec.Struct, frozen=True):
    messages: list[Any]
    model: str | None = None
    system: Any = None
    max_tokens: int | None = None
    stream: bool | None = None
    tools: list[AnthropicTool] | None = None
    tool_choice: ToolChoice | None = None

    @property
    def forced(self) -> calls.Function | None:
        tools = [calls.Function(t.name, t.input_schema) for t in self.tools or ()]
        if self.tool_choice is None or self.tool_choice.type not in ("any", "tool"):
            return None
        return calls.named(tools, self.tool_choice.name)


def read(call: Call) -> Asked:
    """Vertex names the model in the path, Anthropic in the body; both want a limit."""
    asked = call.decoded(MessagesRequest)
    if asked.max_tokens is None:
        raise Refused(400, "max_tokens: Field required")
    return Asked(
        model=_model(call, asked),
        input_tokens=_tokens(call, asked),
        stream=bool(asked.stream) or call.words.get("verb") == "streamRawPredict",
        limit=asked.max_tokens,
        tool=asked.forced,
    )


def count(call: Call) -> dict[str, object]:
    return {"input_tokens": _tokens(call, call.decoded(MessagesRequest))}


def _tokens(call: Call, asked: MessagesRequest) -> int:
    tools = [[tool.name, tool.input_schema] for tool in asked.tools or ()]
    return text_tokens([asked.system, asked.messages, tools], _model(call, asked)) + 8


def _model(call: Call, asked: MessagesRequest) -> str:
    model = asked.model or call.words.get("model")
    if not model:
        raise Refused(400, "model: Field required")
    return model


def _usage(speech: Speech) -> dict[str, object]:
    return {
        "input_tokens": speech.input_tokens - speech.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": speech.cached,
        "output_tokens": speech.output_tokens,
        "service_tier": "standard",
    }


def plain(speech: Speech, family: str) -> object:  # noqa: ARG001 (one shape in every family)
    (reply,) = speech.replies
    message = _message(speech, [_block(reply)], _STOP[reply.finish])
    return message | ({"usage": _usage(speech)} if speech.times else {})


def _message(speech: Speech, content: list[object], stop: str | None) -> dict[str, object]:
    return {
        "id": f"msg_sim{speech.serial:021d}",
        "type": "message",
        "role": "assistant",
        "model": speech.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
    }


def _block(reply: Reply) -> dict[str, object]:
    if reply.tool is None:
        return {"type": "text", "text": reply.text}
    whole = msgspec.json.decode(reply.text) if reply.whole else {}
    return {"type": "tool_use", "id": "toolu_sim1", "name": reply.tool, "input": whole}


def streamed(speech: Speech, family: str) -> list[bytes]:  # noqa: ARG001 (one shape)
    (reply,) = speech.replies
    usage = _usage(speech) if speech.times else None
    start = _message(speech, [], None) | ({"usage": {**usage, "output_tokens": 1}} if usage else {})
    empty: dict[str, object] = {"input": {}} if reply.tool else {"text": ""}
    deltas = [_delta(reply, piece) for piece in reply.pieces]
    end: dict[str, object] = {"type": "message_delta"}
    end["delta"] = {"stop_reason": _STOP[reply.finish], "stop_sequence": None}
    events: list[dict[str, object]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": _block(reply) | empty},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        *([end | ({"usage": usage} if usage else {})] * max(speech.times, 1)),
        {"type": "message_stop"},
    ]
    return framing.named(events)


def _delta(reply: Reply, piece: str) -> dict[str, object]:
    if reply.tool:
        return {"type": "input_json_delta", "partial_json": piece}
    return {"type": "text_delta", "text": piece}


# --- the older completions ------------------------------------------------------------------


class PromptRequest(msgspec.Struct, frozen=True):
    model: str
    prompt: str
    max_tokens_to_sample: int
    stream: bool | None = None


def read_prompt(call: Call) -> Asked:
    asked = call.decoded(PromptRequest)
    return Asked(
        model=asked.model,
        input_tokens=text_tokens(asked.prompt, asked.model),
        stream=bool(asked.stream),
        limit=asked.max_tokens_to_sample,
    )


def plain_prompt(speech: Speech, family: str) -> dict[str, object]:  # noqa: ARG001 (one shape)
    """Never tells usage."""
    (reply,) = speech.replies
    stop = "stop_sequence" if reply.whole else "max_tokens"
    return _completion(speech) | {"completion": reply.text, "stop_reason": stop}


def streamed_prompt(speech: Speech, family: str) -> list[bytes]:
    (reply,) = speech.replies
    said = [_completion(speech) | {"completion": piece} for piece in reply.pieces]
    return framing.named([*said, plain_prompt(speech, family) | {"completion": ""}])


def _completion(speech: Speech) -> dict[str, object]:
    known = {"type": "completion", "id": f"compl_sim{speech.serial}", "model": speech.model}
    return {**known, "stop": None, "stop_reason": None}
