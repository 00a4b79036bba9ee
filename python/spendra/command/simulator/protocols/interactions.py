"""Google's interactions: plain, and streamed as named events."""

from typing import Any, Final

import msgspec

from spendra.command.simulator.call import Call, Refused
from spendra.command.simulator.speech import Asked, Speech, text_tokens
from spendra.command.simulator.store import Record

_TIME: Final = "2026-01-01T00:00:00Z"
_encode = msgspec.json.encode


class InteractionConfig(msgspec.Struct, frozen=True):
    max_output_tokens: int | None = None


class InteractionRequest(msgspec.Struct, frozen=True):
    model: str
    input: Any = None
    stream: bool | None = None
    generation_config: InteractionConfig = InteractionConfig()


def read(call: Call) -> Asked:
    asked = call.decoded(InteractionRequest)
    return Asked(
        model=asked.model,
        input_tokens=text_tokens(asked.input, asked.model),
        stream=bool(asked.stream),
        limit=asked.generation_config.max_output_tokens,
    )


def identity(speech: Speech) -> str:
    return f"v1_sim{speech.serial}"


def plain(speech: Speech, family: str) -> Record:  # noqa: ARG001 (one shape in every family)
    (reply,) = speech.replies
    said = {"type": "model_output", "content": [{"type": "text", "text": reply.text}]}
    whole = _interaction(speech, "completed") | {"created": _TIME, "updated": _TIME}
    whole |= {"service_tier": "standard", "steps": [said]}
    return whole | ({"usage": _usage(speech)} if speech.times else {})


def _interaction(speech: Speech, status: str) -> Record:
    known = {"id": identity(speech), "object": "interaction", "model": speech.model}
    return {**known, "status": status}


def _usage(speech: Speech) -> Record:
    return {
        "total_tokens": speech.input_tokens + speech.output_tokens,
        "total_input_tokens": speech.input_tokens,
        "total_cached_tokens": speech.cached,
        "total_output_tokens": speech.output_tokens - speech.reasoning,
        "total_thought_tokens": speech.reasoning,
        "total_tool_use_tokens": 0,
    }


def streamed(speech: Speech, family: str) -> list[bytes]:
    (reply,) = speech.replies
    deltas = [{"index": 0, "delta": {"text": p, "type": "text"}} for p in reply.pieces]
    events: list[tuple[str, dict[str, Any]]] = [
        ("interaction.created", {"interaction": _interaction(speech, "in_progress")}),
        ("step.start", {"index": 0, "step": {"type": "model_output"}}),
        *(("step.delta", delta) for delta in deltas),
        ("step.stop", {"index": 0}),
        ("interaction.completed", {"interaction": plain(speech, family)}),
    ]
    written = [
        b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode({**event, "event_type": kind}))
        for kind, event in events
    ]
    return [*written, b"event: done\ndata: [DONE]\n\n"]


def look(call: Call) -> Record:
    found = call.store.get(call.words["id"])
    if found is None:
        raise Refused(404, f"interaction {call.words['id']} was not found")
    if call.request.method == "DELETE":
        call.store.remove(call.words["id"])
        return {}
    return found
