"""Recorded answers of real providers, served byte for byte.

A corpus is a directory with `index.jsonl`, one case a line (`id`, `status`, `streaming`,
`response_headers`), and `<id>.body`, the body as it was received.
"""

import re
from pathlib import Path
from typing import Final

import msgspec

from spendra.command.simulator.answer import Answer

_EVENT_END: Final = re.compile(rb"(?<=\n\n)|(?<=\n\r\n)|(?<=\r\r)")
# These describe one connection or one encoding of the bytes, not the recorded body.
_NOT_REPLAYED: Final = frozenset(
    {"connection", "content-encoding", "content-length", "date", "server", "transfer-encoding"}
)


class CorpusError(ValueError):
    """A directory that holds no corpus."""


class Case(msgspec.Struct, frozen=True):
    id: str
    status: int = 200
    streaming: bool = False
    response_headers: dict[str, str] | None = None


class Corpus:
    """The cases of a directory. Raises CorpusError where it cannot be read."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        try:
            lines = (directory / "index.jsonl").read_bytes().splitlines()
            cases = [msgspec.json.decode(line, type=Case) for line in lines if line]
        except (OSError, msgspec.MsgspecError) as error:
            msg = f"{directory} holds no recorded answers: {error}"
            raise CorpusError(msg) from error
        self._cases = {case.id: case for case in cases}

    def answer(self, case_id: str) -> Answer | None:
        """The recorded answer, or None for an id that the index does not name."""
        case = self._cases.get(case_id)
        if case is None:
            return None
        body = (self._directory / f"{case.id}.body").read_bytes()
        return Answer(
            status=case.status,
            headers=_headers(case),
            pieces=[piece for piece in _EVENT_END.split(body) if piece]
            if case.streaming
            else [body],
            streamed=case.streaming,
        )


def _headers(case: Case) -> tuple[tuple[str, str], ...]:
    recorded = {name.lower(): value for name, value in (case.response_headers or {}).items()}
    fallback = "text/event-stream" if case.streaming else "application/json"
    replayed = {"content-type": fallback} | recorded
    return tuple((name, value) for name, value in replayed.items() if name not in _NOT_REPLAYED)
