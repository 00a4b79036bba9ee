"""The time that budgets go by: the balance store's, whatever this machine's clock says."""

import time

_TOLERANCE_MS = 1000
"""Less than this is the time an answer takes, not a clock that is off."""


class StoreClock:
    """The machine's clock, corrected by what the store says with each hold."""

    def __init__(self) -> None:
        self._offset_ms = 0

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000 + self._offset_ms

    def heard(self, server_ms: int) -> None:
        """What the store's clock showed a moment ago."""
        if abs(server_ms - self.now_ms()) > _TOLERANCE_MS:
            self.contradicted(server_ms)

    def contradicted(self, server_ms: int) -> None:
        """The same, where even a small difference decides."""
        self._offset_ms += server_ms - self.now_ms()
