"""Hours of a policy, by the clocks of its own time zone."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, get_args
from zoneinfo import ZoneInfo

from spendra.snapshot import Day, Hours, PolicyRecord

DAYS: Final[tuple[Day, ...]] = get_args(Day)
"""From Monday on."""
_MINUTE_MS: Final = 60_000


def is_open(hours: Hours, at_ms: int) -> bool:
    """`at_ms`: Unix milliseconds."""
    local = datetime.fromtimestamp(at_ms / 1000, tz=ZoneInfo(hours.timezone))
    day, now = DAYS[local.weekday()], local.strftime("%H:%M")
    return any(day in each.days and each.opens <= now < each.closes for each in hours.open)


class HoursClock:
    """Which of an organization's policies are closed; worked out once a minute."""

    def __init__(self, policies: Iterable[PolicyRecord]) -> None:
        self._hours = [(p.id, p.rules.hours) for p in policies if p.rules.hours is not None]
        self._minute = -1
        self._closed: list[str] = []

    def closed(self, at_ms: int) -> list[str]:
        """Their ids."""
        minute = at_ms // _MINUTE_MS
        if self._hours and minute != self._minute:
            self._closed = [name for name, hours in self._hours if not is_open(hours, at_ms)]
            self._minute = minute
        return self._closed
