"""The simulated model's words: the same for the same length, choice and model."""

from bisect import bisect_right
from functools import lru_cache
from typing import Final

from spendra.command.simulator.speech.tokens import count_tokens

# Everyday words: one token each in OpenAI's encodings, so that a length is met exactly.
_WORDS: Final = (
    "time people way water day part place work week case point government company number group "
    "problem fact hand world house area money story month lot right study book eye job word "
    "business issue side kind head service friend father power hour game line end member law car "
    "city community name door team minute idea body information back parent face"
)


@lru_cache(maxsize=512)
def spoken(tokens: int, choice: int, model: str) -> tuple[str, ...]:
    """Words of a text of at most `tokens` tokens (exactly so many in OpenAI's encodings)."""
    words = _WORDS.split()
    said = [f" {words[(choice + position) % len(words)]}" for position in range(tokens)]
    said[:1] = [word.lstrip() for word in said[:1]]
    return _within(said, tokens, model)


@lru_cache(maxsize=512)
def pieces_within(text: str, tokens: int, model: str) -> tuple[str, ...]:
    """A given text in pieces, cut so that it counts at most `tokens` tokens."""
    return _within([text[at : at + 4] for at in range(0, len(text), 4)], tokens, model)


def _within(pieces: list[str], tokens: int, model: str) -> tuple[str, ...]:
    def counted(length: int) -> int:
        return count_tokens("".join(pieces[:length]), model)

    if counted(len(pieces)) <= tokens:
        return tuple(pieces)
    fits = bisect_right(range(len(pieces)), tokens, key=counted) - 1
    return tuple(pieces[: max(fits, 0)])
