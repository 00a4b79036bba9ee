"""Answers of one body: embeddings, reranking, moderations, images, audio, OCR, lists of models."""

import base64
import re
import struct
from typing import Any, Final

import msgspec

from spendra.command.simulator.answer import Answer
from spendra.command.simulator.call import Call, Refused
from spendra.command.simulator.speech import text_tokens
from spendra.command.simulator.store import Record

_VECTOR: Final = [0.25, -0.5, 0.75, -1.0]
_PIXEL: Final = base64.b64encode(b"\x89PNG\r\n\x1a\n simulated").decode()
_PART: Final = rb'name="%b"(?:; *filename="(?P<filename>[^"]*)")?.*?\r\n\r\n(?P<value>.*?)\r\n--'
_TIME: Final = "2026-01-01T00:00:00Z"
MODELS: Final[dict[str, tuple[str, ...]]] = {
    "openai": ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano"),
    "anthropic": ("claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-5"),
    "google": ("gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-2.5-pro"),
    "mistral": ("mistral-small-latest", "mistral-large-latest", "codestral-latest"),
    "cohere": ("command-a-03-2025", "command-r-08-2024", "embed-v4.0", "rerank-v3.5"),
    "openrouter": ("openai/gpt-4o-mini", "anthropic/claude-haiku-4.5"),
}


class EmbeddingRequest(msgspec.Struct, frozen=True):
    model: str
    input: str | list[Any]
    encoding_format: str = "float"


def embeddings(call: Call) -> Record:
    """OpenAI's, and whoever copied them."""
    asked = call.decoded(EmbeddingRequest)
    call.entry.model = asked.model
    several = isinstance(asked.input, list) and not isinstance((asked.input or [""])[0], int)
    inputs: list[Any] = list(asked.input) if several else [asked.input]
    tokens = sum(len(i) if isinstance(i, list) else text_tokens(i, asked.model) for i in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    vector: object = _VECTOR
    if asked.encoding_format == "base64":
        vector = base64.b64encode(struct.pack(f"<{len(_VECTOR)}f", *_VECTOR)).decode()
    data = [{"object": "embedding", "index": at, "embedding": vector} for at in range(len(inputs))]
    body = {"object": "list", "data": data, "model": asked.model, "usage": usage}
    return body | ({"id": f"sim{call.entry.serial}"} if call.family == "mistral" else {})


def cohere_embed(call: Call) -> Record:
    """Version 2 by type, version 1 as plain vectors unless types are asked."""
    asked = call.decoded(dict[str, Any])
    call.entry.model = model = str(asked.get("model"))
    texts = asked.get("texts") or []
    vectors = [_VECTOR for _ in texts]
    typed = bool(asked.get("embedding_types")) or "/v2/" in call.request.path
    billed = {"input_tokens": text_tokens(texts, model)}
    return {
        "id": f"00000000-0000-4000-8000-{call.entry.serial:012d}",
        "texts": texts,
        "embeddings": {"float": vectors} if typed else vectors,
        "meta": {"api_version": {"version": "2" if typed else "1"}, "billed_units": billed},
        "response_type": "embeddings_by_type" if typed else "embeddings_floats",
    }


def rerank(call: Call) -> Record:
    """One search unit a hundred documents."""
    asked = call.decoded(dict[str, Any])
    call.entry.model = str(asked.get("model"))
    found = asked.get("documents") or []
    results = [{"index": at, "relevance_score": 1 / (at + 2)} for at in range(len(found))]
    units = {"search_units": -(-len(found) // 100)}
    meta = {"api_version": {"version": "2"}, "billed_units": units}
    body = {"id": "00000000-0000-4000-8000-000000000000", "meta": meta}
    return body | {"results": results[: asked.get("top_n") or len(results)]}


def moderations(call: Call) -> Record:
    asked = call.decoded(dict[str, Any])
    model = str(asked.get("model") or "omni-moderation-latest")
    result = {"flagged": False, "categories": {"violence": False}}
    scores = {"category_scores": {"violence": 0.01}, "category_applied_input_types": {}}
    return {"id": "modr-sim", "model": model, "results": [result | scores]}


def tokenize(call: Call) -> Record:
    """To made-up tokens, or back to a text."""
    text = call.decoded(dict[str, Any]).get("text")
    if text is None:
        return {"text": "water"}
    return {"tokens": list(range(text_tokens(text, "command-r"))), "token_strings": []}


def ocr(call: Call) -> Record:
    asked = call.decoded(dict[str, Any])
    call.entry.model = model = str(asked.get("model"))
    size = {"dpi": 200, "height": 2200, "width": 1700}
    page = {"index": 0, "markdown": "# water", "images": [], "dimensions": size}
    usage = {"pages_processed": 1, "doc_size_bytes": len(call.request.body)}
    return {"pages": [page], "model": model, "document_annotation": None, "usage_info": usage}


def images(call: Call) -> Record:
    """Generations are asked in JSON, edits in a form; each image is 272 tokens."""
    asked = form(call, "model", "prompt", "n")
    call.entry.model = model = asked.get("model") or "gpt-image-1"
    made = int(asked.get("n") or 1)
    text, picture = text_tokens(asked.get("prompt") or "", model), 272 * made
    usage = {
        "input_tokens": text,
        "input_tokens_details": {"text_tokens": text, "image_tokens": 0},
        "output_tokens": picture,
        "total_tokens": text + picture,
    }
    return {"created": call.now, "data": [{"b64_json": _PIXEL}] * made, "usage": usage}


def speech(call: Call) -> Answer:
    asked = call.decoded(dict[str, Any])
    call.entry.model = str(asked.get("model"))
    return Answer(status=200, headers=(("content-type", "audio/mpeg"),), pieces=[b"ID3simulated"])


def transcription(call: Call) -> Record:
    """Whisper bills by the second, its successors by the token."""
    asked = form(call, "model")
    call.entry.model = model = asked.get("model") or ""
    if model.startswith("whisper"):
        return {"text": "water", "usage": {"type": "duration", "seconds": 3}}
    details = {"audio_tokens": 30, "text_tokens": 0}
    usage = {"type": "tokens", "input_tokens": 30, "output_tokens": 2, "total_tokens": 32}
    return {"text": "water", "usage": usage | {"input_token_details": details}}


def form(call: Call, *names: str) -> dict[str, str]:
    """Fields of a JSON body, or of a form whose small fields come as parts."""
    if "multipart/form-data" not in call.request.headers.get("content-type", ""):
        asked = call.decoded(dict[str, Any])
        return {name: str(asked[name]) for name in names if asked.get(name) is not None}
    found = {name: part(call.request.body, name) for name in names}
    return {name: match["value"].decode() for name, match in found.items() if match}


def part(body: bytes, name: str) -> re.Match[bytes] | None:
    return re.search(_PART % name.encode(), body, re.DOTALL)


# --- models -------------------------------------------------------------------------------


def models(call: Call) -> Record:
    """The list as the family writes it."""
    names = MODELS.get(call.family, MODELS["openai"])
    if call.family == "google":
        return {"models": [_google_model(name) for name in names]}
    if call.family == "cohere":
        return {"models": [{"name": n, "endpoints": ["chat"], "finetuned": False} for n in names]}
    if call.family == "anthropic":
        listed = [_anthropic_model(name) for name in names]
        return {"data": listed, "has_more": False, "first_id": names[0], "last_id": names[-1]}
    return {"object": "list", "data": [_openai_model(name) for name in names]}


def model(call: Call) -> Record:
    name = call.words["id"]
    if name not in MODELS.get(call.family, MODELS["openai"]):
        raise Refused(404, f"The model '{name}' does not exist")
    shapes = {"google": _google_model, "anthropic": _anthropic_model}
    return shapes.get(call.family, _openai_model)(name)


def _openai_model(name: str) -> Record:
    return {"id": name, "object": "model", "created": 1715367049, "owned_by": "system"}


def _anthropic_model(name: str) -> Record:
    return {"type": "model", "id": name, "display_name": name, "created_at": _TIME}


def _google_model(name: str) -> Record:
    methods = ["generateContent", "countTokens"]
    return {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": methods}
