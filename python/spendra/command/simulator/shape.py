"""How the simulated provider answers: the command line's defaults, changed by a request's header.

`x-simulate: status=429,delay-ms=50` is a comma-separated list of `name=number`, `model=<name>`,
`replay=<id>` and the bare words `no-usage`, `usage-twice` and `drop`; the fields of `Shape` say
what each does.
"""

from typing import Any, Final, Literal

import msgspec


class ShapeError(ValueError):
    """A word of `x-simulate` that cannot be used; the message names it."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One answer's shape.

    `status` other than 200 answers the provider's error body. `delay_ms` passes before the first
    byte, `chunk_ms` before each further event of a stream. `tokens` is the answer's length in the
    model's own tokens, where the request's limit allows it. `cut_after` closes the connection
    after that many events of a stream, or bytes of a plain body, with no end marked; `drop`
    closes it before the first byte. `error_after` ends a stream, after so many events, with the
    protocol's own error. `cached` input tokens and `reasoning` output tokens are told where the
    protocol tells them; `model` is the model that answers. `replay` names a recorded answer.
    """

    status: int = 200
    delay_ms: int = 0
    chunk_ms: int = 0
    tokens: int = 24
    cut_after: int | None = None
    error_after: int | None = None
    cached: int = 0
    reasoning: int = 0
    usage: Literal["once", "none", "twice"] = "once"
    drop: bool = False
    model: str | None = None
    replay: str | None = None


_NUMBERS: Final = {
    "status": "status",
    "delay-ms": "delay_ms",
    "chunk-ms": "chunk_ms",
    "tokens": "tokens",
    "chunks": "tokens",
    "cut-after": "cut_after",
    "error-after": "error_after",
    "cached": "cached",
    "reasoning": "reasoning",
}
_NAMES: Final = frozenset({"model", "replay"})
_WORDS: Final[dict[str, dict[str, object]]] = {
    "no-usage": {"usage": "none"},
    "usage-twice": {"usage": "twice"},
    "drop": {"drop": True},
}


def shaped(defaults: Shape, header: str) -> Shape:
    """The defaults, changed by what an `x-simulate` header asks. ShapeError for what it cannot."""
    changes: dict[str, Any] = {}
    for word in filter(None, (part.strip() for part in header.split(","))):
        changes.update(_change(word))
    return msgspec.structs.replace(defaults, **changes) if changes else defaults


def _change(word: str) -> dict[str, object]:
    name, _, value = word.partition("=")
    if name in _NUMBERS and value.isascii() and value.isdigit():
        return {_NUMBERS[name]: int(value)}
    if name in _NAMES and value:
        return {name: value}
    if word in _WORDS:
        return _WORDS[word]
    msg = f"x-simulate: {word!r} is not understood"
    raise ShapeError(msg)
