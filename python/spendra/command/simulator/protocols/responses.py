"""OpenAI's Responses: plain, streamed as named events, and in the background."""

from typing import Any, Final

import msgspec

from spendra.command.simulator.call import Call, Refused
from spendra.command.simulator.protocols import framing
from spendra.command.simulator.speech import Asked, Reply, Speech, calls, text_tokens
from spendra.command.simulator.store import Record

_ECHOED: Final[dict[str, object]] = {
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "background": False,
    "previous_response_id": None,
    "truncation": "disabled",
    "store": True,
}


class NamedTool(msgspec.Struct, frozen=True):
    name: str = ""


class FunctionTool(msgspec.Struct, frozen=True):
    """A function; hosted tools have no name and are not called."""

    type: str = "function"
    name: str = ""
    parameters: dict[str, Any] | None = None


class ResponseRequest(msgspec.Struct, frozen=True):
    model: str
    input: Any = None
    instructions: Any = None
    stream: bool | None = None
    background: bool | None = None
    max_output_tokens: int | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: str | NamedTool | None = None
    service_tier: str | None = None

    @property
    def forced(self) -> calls.Function | None:
        tools = [calls.Function(t.name, t.parameters) for t in self.tools or () if t.name]
        if isinstance(self.tool_choice, NamedTool):
            return calls.named(tools, self.tool_choice.name)
        return calls.named(tools, None) if self.tool_choice == "required" else None


def read(call: Call) -> Asked:
    asked = call.decoded(ResponseRequest)
    return Asked(
        model=asked.model,
        input_tokens=text_tokens([asked.instructions, asked.input], asked.model),
        stream=bool(asked.stream),
        limit=asked.max_output_tokens,
        tool=asked.forced,
        tier=asked.service_tier if asked.service_tier not in (None, "auto") else "default",
        background=bool(asked.background),
    )


def identity(speech: Speech) -> str:
    return f"resp_sim{speech.serial:029d}"


def plain(speech: Speech, family: str) -> Record:  # noqa: ARG001 (one shape in every family)
    (reply,) = speech.replies
    whole = reply.whole
    return _response(speech, "completed" if whole else "incomplete") | {
        "incomplete_details": None if whole else {"reason": "max_output_tokens"},
        "output": [_item(reply, "completed" if whole else "incomplete")],
        "usage": usage(speech) if speech.times else None,
    }


def queued(speech: Speech) -> Record:
    """What a background response is before it is looked at again."""
    return _response(speech, "queued") | {"background": True}


def usage(speech: Speech) -> dict[str, object]:
    return {
        "input_tokens": speech.input_tokens,
        "input_tokens_details": {"cached_tokens": speech.cached},
        "output_tokens": speech.output_tokens,
        "output_tokens_details": {"reasoning_tokens": speech.reasoning},
        "total_tokens": speech.input_tokens + speech.output_tokens,
    }


def _response(speech: Speech, status: str) -> Record:
    return _ECHOED | {
        "id": identity(speech),
        "object": "response",
        "created_at": speech.now,
        "status": status,
        "model": speech.model,
        "output": [],
        "service_tier": speech.asked.tier,
        "max_output_tokens": speech.asked.limit,
        "usage": None,
    }


def _item(reply: Reply, status: str, text: str | None = None) -> dict[str, object]:
    said = reply.text if text is None else text
    if reply.tool:
        call = {"id": "fc_sim1", "type": "function_call", "call_id": "call_sim1"}
        return {**call, "name": reply.tool, "arguments": said, "status": status}
    content = [_part(said)] if text is None else []
    message = {"id": "msg_sim1", "type": "message", "role": "assistant"}
    return {**message, "content": content, "status": status}


def _part(text: str) -> dict[str, object]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def streamed(speech: Speech, family: str) -> list[bytes]:
    (reply,) = speech.replies
    last = plain(speech, family)
    events: list[dict[str, object]] = [
        {"type": "response.created", "response": _response(speech, "in_progress")},
        {"type": "response.in_progress", "response": _response(speech, "in_progress")},
        _at(reply, "response.output_item.added", item=_item(reply, "in_progress", "")),
        *(_called(reply) if reply.tool else _spoken(reply)),
        _at(reply, "response.output_item.done", item=_item(reply, "completed")),
    ]
    events += [{"type": f"response.{last['status']}", "response": last}] * max(speech.times, 1)
    return framing.named({**e, "sequence_number": n} for n, e in enumerate(events))


def _at(reply: Reply, kind: str, **more: object) -> dict[str, object]:  # noqa: ARG001 (one item)
    return {"type": kind, "output_index": 0, **more}


def _called(reply: Reply) -> list[dict[str, object]]:
    kind, item = "response.function_call_arguments", {"item_id": "fc_sim1"}
    deltas = [_at(reply, f"{kind}.delta", delta=piece, **item) for piece in reply.pieces]
    return [*deltas, _at(reply, f"{kind}.done", arguments=reply.text, name=reply.tool, **item)]


def _spoken(reply: Reply) -> list[dict[str, object]]:
    item: dict[str, object] = {"item_id": "msg_sim1", "content_index": 0}
    text, part = "response.output_text", "response.content_part"
    said = [_at(reply, f"{text}.delta", delta=p, logprobs=[], **item) for p in reply.pieces]
    return [
        _at(reply, f"{part}.added", part=_part(""), **item),
        *said,
        _at(reply, f"{text}.done", text=reply.text, logprobs=[], **item),
        _at(reply, f"{part}.done", part=_part(reply.text), **item),
    ]


# --- afterwards ---------------------------------------------------------------------------


def look(call: Call) -> Record:
    """A stored response: one in the background is complete by the time anybody looks."""
    response = _stored(call)
    if response["status"] == "queued":
        response |= response.pop("later")
    return response


def cancel(call: Call) -> Record:
    response = _stored(call)
    if response["status"] == "queued":
        response |= {"status": "cancelled"}
        response.pop("later")
    return response


def delete(call: Call) -> Record:
    response = _stored(call)
    call.store.remove(response["id"])
    return {"id": response["id"], "object": "response", "deleted": True}


def items(call: Call) -> Record:
    _stored(call)
    said = {"type": "input_text", "text": "water"}
    item = {"id": "msg_sim0", "type": "message", "role": "user", "content": [said]}
    ends = {"first_id": "msg_sim0", "last_id": "msg_sim0", "has_more": False}
    return {"object": "list", "data": [item], **ends}


def count(call: Call) -> Record:
    return {"object": "response.input_tokens", "input_tokens": read(call).input_tokens}


def _stored(call: Call) -> Record:
    found = call.store.get(call.words["id"])
    if found is None:
        raise Refused(404, f"Response with id '{call.words['id']}' not found.")
    return found
