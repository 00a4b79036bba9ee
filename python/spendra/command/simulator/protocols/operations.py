"""The table of operations: which path is answered by what, in which family's shape.

The first row that fits wins. A family in the path's first part (`/mistral/v1/...`) goes before the
row's own.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

from spendra.command.simulator.answer import Answer
from spendra.command.simulator.call import Call
from spendra.command.simulator.protocols import (
    chat,
    cohere,
    gemini,
    interactions,
    messages,
    responses,
    single,
    stored,
)
from spendra.command.simulator.speech import Asked, Speech
from spendra.command.simulator.store import Record

_SSE: Final = "text/event-stream; charset=utf-8"


class Talk(NamedTuple):
    """A protocol of talking: how it is read, and written whole and as a stream."""

    name: str
    read: Callable[[Call], Asked]
    plain: Callable[[Speech, str], object]
    streamed: Callable[[Speech, str], list[bytes]]
    content_type: str = _SSE


Handler = Callable[[Call], Record | Answer]


class Operation(NamedTuple):
    method: str
    path: re.Pattern[str]
    family: str
    does: Talk | Handler


CHAT: Final = Talk("chat", chat.read, chat.plain, chat.streamed)
COMPLETION: Final = Talk(
    "chat", chat.read_completion, chat.plain_completion, chat.streamed_completion
)
FIM: Final = Talk("chat", chat.read_completion, chat.plain, chat.streamed)
RESPONSES: Final = Talk("responses", responses.read, responses.plain, responses.streamed)
MESSAGES: Final = Talk("messages", messages.read, messages.plain, messages.streamed)
GEMINI: Final = Talk("gemini", gemini.read, gemini.plain, gemini.streamed, "text/event-stream")
GEMINI_ARRAY: Final = Talk(
    "array", gemini.read, gemini.plain, gemini.arrayed, "application/json; charset=UTF-8"
)
COHERE: Final = Talk("cohere", cohere.read, cohere.plain, cohere.streamed, "text/event-stream")
COHERE_V1: Final = Talk(
    "cohere-v1", cohere.read, cohere.plain_v1, cohere.streamed_v1, "application/stream+json"
)
GENERATE: Final = Talk(
    "cohere-v1", cohere.read, cohere.plain_generate, cohere.streamed_generate,
    "application/stream+json",
)  # fmt: skip

COMPLETE: Final = Talk(
    "messages", messages.read_prompt, messages.plain_prompt, messages.streamed_prompt
)
INTERACTION: Final = Talk(
    "interaction", interactions.read, interactions.plain, interactions.streamed,
    "text/event-stream",
)  # fmt: skip

_MODEL: Final = r"/(?:models|tunedModels)/(?P<model>[^/:]+)"
_CLAUDE: Final = r"/publishers/anthropic/models/(?P<model>[^/:]+)"

_TABLE: Final[tuple[tuple[str, str, str, Talk | Handler], ...]] = (
    # path, by its end; a family only where the path itself tells it
    ("POST", r"/openai/deployments/(?P<deployment>[^/]+)/chat/completions", "azure", CHAT),
    ("POST", r"/openai/deployments/[^/]+/embeddings", "azure", single.embeddings),
    ("POST", r"/api/v1/chat/completions", "openrouter", CHAT),
    ("GET", r"/api/v1/generation", "openrouter", stored.generation),
    ("POST", r"/v1/agents/completions", "mistral", CHAT),
    ("POST", r"/v1/fim/completions", "mistral", FIM),
    ("POST", r"/v1/ocr", "mistral", single.ocr),
    ("POST", r"/v2/chat", "cohere", COHERE),
    ("POST", r"/v1/chat", "cohere", COHERE_V1),
    ("POST", r"/v1/generate", "cohere", GENERATE),
    ("POST", r"/v[12]/embed", "cohere", single.cohere_embed),
    ("POST", r"/v[12]/rerank", "cohere", single.rerank),
    ("POST", r"/chat/completions", "openai", CHAT),
    ("POST", r"/completions", "openai", COMPLETION),
    ("POST", r"/responses/input_tokens", "openai", responses.count),
    ("POST", r"/responses/compact", "openai", Talk("responses", *RESPONSES[1:])),
    ("POST", r"/responses", "openai", RESPONSES),
    ("POST", r"/responses/(?P<id>[^/]+)/cancel", "openai", responses.cancel),
    ("GET", r"/responses/(?P<id>[^/]+)/input_items", "openai", responses.items),
    ("GET", r"/responses/(?P<id>[^/]+)", "openai", responses.look),
    ("DELETE", r"/responses/(?P<id>[^/]+)", "openai", responses.delete),
    ("POST", r"/embeddings", "openai", single.embeddings),
    ("POST", r"/moderations", "openai", single.moderations),
    ("POST", r"/images/(?:generations|edits)", "openai", single.images),
    ("POST", r"/audio/speech", "openai", single.speech),
    ("POST", r"/audio/(?:transcriptions|translations)", "openai", single.transcription),
    ("POST", r"/v1/messages", "anthropic", MESSAGES),
    ("POST", r"/v1/messages/count_tokens", "anthropic", messages.count),
    ("POST", r"/v1/complete", "anthropic", COMPLETE),
    ("POST", r"/v1/messages/batches", "anthropic", stored.start_messages_batch),
    ("GET", r"/v1/messages/batches", "anthropic", stored.messages_batches),
    ("GET", r"/v1/messages/batches/(?P<id>[^/]+)", "anthropic", stored.messages_batch),
    ("DELETE", r"/v1/messages/batches/(?P<id>[^/]+)", "anthropic", stored.remove),
    ("GET", r"/v1/messages/batches/(?P<id>[^/]+)/results", "anthropic", stored.messages_results),
    (
        "POST", r"/v1/messages/batches/(?P<id>[^/]+)/cancel", "anthropic",
        stored.cancel_messages_batch,
    ),
    ("POST", r"/publishers/anthropic/models/count-tokens:rawPredict", "google", messages.count),
    ("POST", _CLAUDE + r":(?P<verb>rawPredict|streamRawPredict)", "google", MESSAGES),
    ("POST", _MODEL + r":(?P<verb>generateContent|streamGenerateContent)", "google", GEMINI),
    ("POST", _MODEL + r":countTokens", "google", gemini.count),
    ("POST", _MODEL + r":embedContent", "google", gemini.embed),
    ("POST", _MODEL + r":batchEmbedContents", "google", gemini.embed_batch),
    ("POST", _MODEL + r":predict", "google", gemini.predict),
    ("POST", r"/interactions", "google", INTERACTION),
    ("GET", r"/interactions/(?P<id>[^/]+)", "google", interactions.look),
    ("DELETE", r"/interactions/(?P<id>[^/]+)", "google", interactions.look),
    ("POST", r"/cachedContents", "google", gemini.make_cache),
    ("GET", r"/cachedContents", "google", gemini.caches),
    ("GET", r"/cachedContents/(?P<id>[^/]+)", "google", gemini.cache),
    ("PATCH", r"/cachedContents/(?P<id>[^/]+)", "google", gemini.cache),
    ("DELETE", r"/cachedContents/(?P<id>[^/]+)", "google", gemini.cache),
    ("POST", r"/files", "openai", stored.upload),
    ("GET", r"/files", "openai", stored.files),
    ("GET", r"/files/(?P<id>[^/]+)", "openai", stored.file),
    ("GET", r"/files/(?P<id>[^/]+)/content", "openai", stored.content),
    ("DELETE", r"/files/(?P<id>[^/]+)", "openai", stored.remove),
    ("POST", r"/batches", "openai", stored.start_batch),
    ("GET", r"/batches", "openai", stored.batches),
    ("GET", r"/batches/(?P<id>[^/]+)", "openai", stored.batch),
    ("POST", r"/batches/(?P<id>[^/]+)/cancel", "openai", stored.cancel_batch),
    ("POST", r"/conversations", "openai", stored.start_conversation),
    ("GET", r"/conversations/(?P<id>[^/]+)", "openai", stored.file),
    ("POST", r"/conversations/(?P<id>[^/]+)", "openai", stored.file),
    ("DELETE", r"/conversations/(?P<id>[^/]+)", "openai", stored.remove),
    ("GET", r"/conversations/(?P<id>[^/]+)/items", "openai", stored.nothing),
    ("POST", r"/v1/(?:tokenize|detokenize)", "cohere", single.tokenize),
    ("GET", r"/api/v1/(?:credits|key)", "openrouter", stored.credit),
    ("GET", r"/v1beta/models", "google", single.models),
    ("GET", r"/v1beta/models/(?P<id>[^/]+)", "google", single.model),
    ("GET", r"/models", "openai", single.models),
    ("GET", r"/models/(?P<id>[^/]+)", "openai", single.model),
)  # fmt: skip

OPERATIONS: Final = tuple(
    Operation(method, re.compile(path + "$"), family, does) for method, path, family, does in _TABLE
)


@lru_cache(maxsize=256)
def find(method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """The row that fits, and the named parts of the path."""
    for operation in OPERATIONS:
        if operation.method == method and (found := operation.path.search(path)):
            return operation, {k: v for k, v in found.groupdict().items() if v is not None}
    return None
