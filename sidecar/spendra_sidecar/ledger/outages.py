"""Stores that do not answer: what callers are told, what the log says, and when not to wait."""

import logging
import time

from spendra_sidecar.ledger.words import StoresAwayError

_log = logging.getLogger(__name__)
_COMPLAINT_S = 5.0
_PATIENCE = 3
"""Failures in a row after which callers are no longer made to wait for the store."""
_PAUSE_S = 1.0


class Outages:
    """A breaker with one line in the log an interval.

    After three failures in a row it refuses at once. Each second one caller is let through to see
    whether the store is back; one answer closes it.
    """

    def __init__(self) -> None:
        self._complained = float("-inf")
        self._failures = 0
        self._next_try = 0.0

    def guard(self) -> None:
        """Raises StoresAwayError while nobody needs to wait to learn that."""
        if self._failures < _PATIENCE:
            return
        now = time.monotonic()
        if now < self._next_try:
            step = "the stores did not answer a moment ago"
            raise StoresAwayError(step)
        self._next_try = now + _PAUSE_S

    @property
    def is_under_way(self) -> bool:
        """Whether the last that was asked of both stores failed."""
        return self._failures > 0

    def answered(self) -> None:
        self._failures = 0

    def failed(self, step: str, error: Exception) -> StoresAwayError:
        """What callers are told; the cause goes to the log, one line an interval."""
        now = time.monotonic()
        self._failures += 1
        self._next_try = now + _PAUSE_S
        if now - self._complained > _COMPLAINT_S:
            self._complained = now
            _log.error("requests are refused: %s: %s", step, error)
        return StoresAwayError(step)
