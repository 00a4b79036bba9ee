"""A route that keeps failing is left alone for a while; the next request after that tries it."""

import time
from collections.abc import Callable
from typing import Final

_FAILURES: Final = 5
_FIRST_PAUSE_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 120.0


class _Breaker:
    """`failures` in a row. Open until a moment; then one request at a time tries."""

    def __init__(self) -> None:
        self.failures = 0
        self.open_until = 0.0
        self.pause_s = _FIRST_PAUSE_S


class Breakers:
    """One per route, in this process. Only routes that have a fallback are ever skipped."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._breakers: dict[str, _Breaker] = {}

    def lets_through(self, route: str) -> bool:
        """Whether to try it. The first request after the pause is the one that tries."""
        breaker = self._breakers.get(route)
        if breaker is None or not breaker.open_until:
            return True
        now = self._clock()
        if now < breaker.open_until:
            return False
        # Others wait for the result of this one, but not for ever.
        breaker.open_until = now + breaker.pause_s
        return True

    def succeeded(self, route: str) -> None:
        self._breakers.pop(route, None)

    def failed(self, route: str, retry_after_s: float = 0.0) -> None:
        """`retry_after_s`: the provider's own wish; the route is left alone at least so long."""
        breaker = self._breakers.setdefault(route, _Breaker())
        breaker.failures += 1
        pause_s = min(retry_after_s, _LONGEST_PAUSE_S)
        if breaker.failures >= _FAILURES:
            pause_s = max(pause_s, breaker.pause_s)
            breaker.pause_s = min(2 * breaker.pause_s, _LONGEST_PAUSE_S)
        if pause_s:
            breaker.open_until = max(breaker.open_until, self._clock() + pause_s)
