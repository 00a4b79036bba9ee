"""Google's generateContent, at Gemini and at Vertex: plain, as events, or as one JSON array."""

from typing import Any, Final

import msgspec

from spendra.command.simulator.call import Call, Refused
from spendra.command.simulator.protocols import framing
from spendra.command.simulator.speech import Asked, Reply, Speech, calls, text_tokens
from spendra.command.simulator.store import Record

_FINISH: Final = {"length": "MAX_TOKENS", "stop": "STOP", "tool": "STOP"}
_VALUES: Final = [0.25, -0.5, 0.75, -1.0]


class GenerationConfig(msgspec.Struct, frozen=True, rename="camel"):
    max_output_tokens: int | None = None
    candidate_count: int | None = None


class Declaration(msgspec.Struct, frozen=True):
    """Google reads both cases, and its SDK writes one field in the other."""

    name: str = ""
    parameters: dict[str, Any] | None = None
    snake: dict[str, Any] | None = msgspec.field(default=None, name="parameters_json_schema")
    camel: dict[str, Any] | None = msgspec.field(default=None, name="parametersJsonSchema")


class Declarations(msgspec.Struct, frozen=True, rename="camel"):
    function_declarations: list[Declaration] | None = None

    @property
    def functions(self) -> list[calls.Function]:
        declared = self.function_declarations or ()
        return [calls.Function(d.name, d.parameters or d.snake or d.camel) for d in declared]


class CallingConfig(msgspec.Struct, frozen=True, rename="camel"):
    mode: str = "AUTO"
    allowed_function_names: list[str] | None = None


class ToolConfig(msgspec.Struct, frozen=True, rename="camel"):
    function_calling_config: CallingConfig = CallingConfig()


class GenerateRequest(msgspec.Struct, frozen=True, rename="camel"):
    contents: Any = None
    system_instruction: Any = None
    generation_config: GenerationConfig = GenerationConfig()
    tools: list[Declarations] | None = None
    tool_config: ToolConfig = ToolConfig()

    @property
    def forced(self) -> calls.Function | None:
        declared = [function for tool in self.tools or () for function in tool.functions]
        config = self.tool_config.function_calling_config
        name = next(iter(config.allowed_function_names or ()), None)
        return calls.named(declared, name) if config.mode == "ANY" else None


def read(call: Call) -> Asked:
    """The path names the model and asks for the stream."""
    asked, model = call.decoded(GenerateRequest), call.words["model"]
    if not asked.contents:
        raise Refused(400, "* GenerateContentRequest.contents: contents is not specified")
    return Asked(
        model=model,
        input_tokens=text_tokens([asked.system_instruction, asked.contents], model),
        stream=call.words["verb"].startswith("stream"),
        limit=asked.generation_config.max_output_tokens,
        choices=asked.generation_config.candidate_count or 1,
        tool=asked.forced,
    )


def _usage(speech: Speech, said: int) -> dict[str, object]:
    details = [{"modality": "TEXT", "tokenCount": speech.input_tokens}]
    told: dict[str, object] = {
        "promptTokenCount": speech.input_tokens,
        "candidatesTokenCount": said,
        "totalTokenCount": speech.input_tokens + said + speech.reasoning,
        "promptTokensDetails": details,
    }
    if speech.cached:
        told["cachedContentTokenCount"] = speech.cached
    return told | ({"thoughtsTokenCount": speech.reasoning} if speech.reasoning else {})


def _chunk(speech: Speech, candidates: list[dict[str, object]], said: int) -> Record:
    chunk: Record = {"candidates": candidates}
    if speech.times:
        chunk["usageMetadata"] = _usage(speech, said)
    return chunk | {"modelVersion": speech.model, "responseId": f"sim{speech.serial}"}


def _candidate(reply: Reply, part: dict[str, object], finish: str | None) -> dict[str, object]:
    content = {"parts": [part], "role": "model"}
    ended = {"finishReason": finish} if finish else {}
    return {"content": content, **ended, "index": reply.index}


def _part(reply: Reply) -> dict[str, object]:
    if reply.tool is None:
        return {"text": reply.text}
    whole = msgspec.json.decode(reply.text) if reply.whole else {}
    return {"functionCall": {"name": reply.tool, "args": whole}}


def plain(speech: Speech, family: str) -> object:  # noqa: ARG001 (one shape in every family)
    said = [_candidate(r, _part(r), _FINISH[r.finish]) for r in speech.replies]
    return _chunk(speech, said, speech.output_tokens - speech.reasoning)


def events(speech: Speech) -> list[Record]:
    """Text comes in pieces, a call whole; counts grow with what was said."""
    chunks: list[Record] = []
    for reply in speech.replies:
        pieces = () if reply.tool else reply.pieces[:-1]
        chunks += [
            _chunk(speech, [_candidate(reply, {"text": piece}, None)], said)
            for said, piece in enumerate(pieces, 1)
        ]
        last: Record = _part(reply) if reply.tool else {"text": "".join(reply.pieces[-1:])}
        total = speech.output_tokens - speech.reasoning
        chunks.append(_chunk(speech, [_candidate(reply, last, _FINISH[reply.finish])], total))
    return chunks


def streamed(speech: Speech, family: str) -> list[bytes]:  # noqa: ARG001 (one shape)
    return framing.data_crlf(events(speech))


def arrayed(speech: Speech, family: str) -> list[bytes]:  # noqa: ARG001 (one shape)
    return framing.array(events(speech))


# --- besides generating -------------------------------------------------------------------


def count(call: Call) -> Record:
    asked, model = call.decoded(dict[str, Any]), call.words["model"]
    tokens = text_tokens(asked.get("generateContentRequest") or asked, model)
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return {"totalTokens": tokens, "promptTokensDetails": details}


def embed(call: Call) -> Record:
    call.entry.model = call.words["model"]
    return {"embedding": {"values": _VALUES}}


def embed_batch(call: Call) -> Record:
    call.entry.model = call.words["model"]
    asked = call.decoded(dict[str, Any])
    return {"embeddings": [{"values": _VALUES} for _ in asked.get("requests", [])]}


def predict(call: Call) -> Record:
    """Vertex's older way to embed: token counts an instance, and the characters billed."""
    call.entry.model = call.words["model"]
    instances = call.decoded(dict[str, Any]).get("instances", [])
    texts = [str(instance.get("content", "")) for instance in instances]
    predictions = [
        {"embeddings": {"values": _VALUES, "statistics": _statistics(text, call)}} for text in texts
    ]
    return {
        "predictions": predictions,
        "metadata": {"billableCharacterCount": sum(map(len, texts))},
    }


def _statistics(text: str, call: Call) -> Record:
    return {"token_count": text_tokens(text, call.words["model"]), "truncated": False}


def make_cache(call: Call) -> Record:
    asked = call.decoded(dict[str, Any])
    call.entry.model = model = str(asked.get("model", ""))
    name = f"cachedContents/sim{call.entry.serial}"
    times = {"createTime": _TIME, "updateTime": _TIME, "expireTime": _TIME}
    usage = {"totalTokenCount": text_tokens(asked.get("contents"), model)}
    return call.store.put(name, {"name": name, "model": model, **times, "usageMetadata": usage})


def caches(call: Call) -> Record:
    return {"cachedContents": call.store.all("cachedContents/")}


def cache(call: Call) -> Record:
    name = f"cachedContents/{call.words['id']}"
    found = call.store.get(name)
    if found is None:
        raise Refused(404, f"{name} was not found")
    if call.request.method == "DELETE":
        call.store.remove(name)
        return {}
    return found


_TIME: Final = "2026-01-01T00:00:00Z"
