"""What reached the simulated provider and how it ended. No body is kept."""

from collections import Counter, deque
from typing import Final

import msgspec

_KEPT: Final = 10_000


class Entry(msgspec.Struct):
    """One request. `outcome`: `open`, `complete`, `cut` (by us) or `disconnected` (by the caller).

    `sent_pieces` counts the events of a stream, or 1 for a plain body, that were written.
    """

    serial: int
    method: str
    path: str
    provider: str = ""
    model: str | None = None
    max_tokens: int | None = None
    stream: bool = False
    status: int = 0
    outcome: str = "open"
    sent_pieces: int = 0


class Journal:
    """Counts all requests, remembers the last 10,000."""

    def __init__(self) -> None:
        self._total = 0
        self._entries: deque[Entry] = deque(maxlen=_KEPT)

    def open(self, method: str, path: str) -> Entry:
        self._total += 1
        entry = Entry(self._total, method, path)
        self._entries.append(entry)
        return entry

    def clear(self) -> None:
        self._total = 0
        self._entries.clear()

    def report(self) -> bytes:
        """JSON: `total`, `outcomes` (of those remembered) and `requests`, oldest first."""
        outcomes = Counter(entry.outcome for entry in self._entries)
        report = {"total": self._total, "outcomes": outcomes, "requests": list(self._entries)}
        return msgspec.json.encode(report)
