"""What is asked and what is said, before any protocol writes it down."""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from spendra.command.simulator.shape import Shape
from spendra.command.simulator.speech import calls
from spendra.command.simulator.speech.text import pieces_within, spoken
from spendra.command.simulator.speech.tokens import count_tokens

_NO_LIMIT: Final = 2**31
_NOT_TEXT: Final = frozenset(
    {"type", "role", "id", "data", "file_data", "image_url", "url", "name", "mimeType", "model"}
)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a request that shapes its answer. `tool`: the one that it forces."""

    model: str
    input_tokens: int
    stream: bool = False
    limit: int | None = None
    choices: int = 1
    tool: calls.Function | None = None
    tier: str = "default"
    include_usage: bool = False
    background: bool = False


class Reply(msgspec.Struct, frozen=True):
    """The pieces of a text, or of the arguments of the tool that is called (`tool` names it).

    `whole`: False where the output limit cut it.
    """

    index: int
    pieces: tuple[str, ...]
    whole: bool
    tool: str | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def finish(self) -> Literal["length", "tool", "stop"]:
        if not self.whole:
            return "length"
        return "tool" if self.tool else "stop"


class Speech(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, decided but not yet written. `input_tokens` includes `cached`, `output_tokens`
    includes `reasoning`; `usage` says how often it is told."""

    serial: int
    now: int
    asked: Asked
    model: str
    replies: list[Reply]
    input_tokens: int
    output_tokens: int
    cached: int
    reasoning: int
    usage: Literal["once", "none", "twice"]

    @property
    def times(self) -> int:
        return {"none": 0, "once": 1, "twice": 2}[self.usage]


def speak(asked: Asked, shape: Shape, serial: int, now: int) -> Speech:
    """Decide the answer."""
    replies = [_reply(asked, index, shape) for index in range(asked.choices)]
    said = sum(count_tokens(reply.text, asked.model) for reply in replies)
    return Speech(
        serial=serial,
        now=now,
        asked=asked,
        model=shape.model or asked.model,
        replies=replies,
        input_tokens=asked.input_tokens,
        output_tokens=said + shape.reasoning,
        cached=min(shape.cached, asked.input_tokens),
        reasoning=shape.reasoning,
        usage=shape.usage,
    )


def _reply(asked: Asked, index: int, shape: Shape) -> Reply:
    limit = _NO_LIMIT if asked.limit is None else max(asked.limit - shape.reasoning, 0)
    if asked.tool is None:
        pieces = spoken(min(shape.tokens, limit), index, asked.model)
        return Reply(index, pieces, shape.tokens <= limit)
    arguments = calls.arguments(asked.tool)
    pieces = pieces_within(arguments, limit, asked.model)
    return Reply(index, pieces, "".join(pieces) == arguments, asked.tool.name)


def text_tokens(document: object, model: str) -> int:
    """Tokens of every text in (a part of) a request."""
    return count_tokens("\n".join(_texts(document)), model)


def _texts(document: object) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, list):
        for item in document:
            yield from _texts(item)
    elif isinstance(document, dict):
        for name, value in document.items():
            if name not in _NOT_TEXT:
                yield from _texts(value)
