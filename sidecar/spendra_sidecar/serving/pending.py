"""Requests that the provider goes on with after it answered: settled by a later answer.

Kept in this process, which goes on holding what was reserved for them. What is not heard of again
is booked at its worst case: when the sidecar stops, after a day, or as lost when it dies.
"""

import time
from typing import Final, NamedTuple

import msgspec

from spendra._hot import Metered
from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.serving.outcomes import Attempt, conclude, conclude_later

_KEPT_S: Final = 24 * 3600
_MOST: Final = 10_000


class _Kept(NamedTuple):
    attempt: Attempt
    until: float


class _Named(msgspec.Struct):
    id: str


class Pending:
    """By provider and the id that it gave. Each is settled once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._kept: dict[tuple[str, str], _Kept] = {}

    def keep(self, attempt: Attempt, answer: bytes) -> bool:
        """False where the answer names nothing that could be asked for later."""
        try:
            identity = msgspec.json.decode(answer, type=_Named).id
        except msgspec.DecodeError:
            return False
        self._expire()
        if len(self._kept) >= _MOST:
            return False
        attempt.body = b""
        now = time.monotonic()
        self._kept[attempt.provider, identity] = _Kept(attempt, now + _KEPT_S)
        return True

    def hear(self, provider: str, identity: str, metered: Metered) -> None:
        """A later answer about it."""
        kept = self._kept.get((provider, identity))
        end = None if kept is None else conclude_later(kept.attempt, metered)
        if kept is not None and end is not None:
            del self._kept[provider, identity]
            self._ledger.settle(kept.attempt.reservation, end)

    def close(self) -> None:
        """Book what is left at its worst case."""
        for kept in self._kept.values():
            self._ledger.settle(kept.attempt.reservation, conclude(kept.attempt))
        self._kept.clear()

    def _expire(self) -> None:
        now = time.monotonic()
        for name, kept in list(self._kept.items()):
            if kept.until > now:
                break
            del self._kept[name]
            self._ledger.settle(kept.attempt.reservation, conclude(kept.attempt))
