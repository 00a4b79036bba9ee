"""Windows of a budget's period, in the budget's own time zone.

Days begin at local midnight (or the first instant after it, where daylight saving skips it),
weeks on Monday. Windows are half-open: `start_s <= t < end_s`, in Unix seconds.
"""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from spendra.snapshot import BudgetRecord, Period

FOREVER_S = 253_402_300_799
"""9999-12-31T23:59:59Z: the end of a window that never ends."""


class Window(NamedTuple):
    """Unix seconds, half-open."""

    start_s: int
    end_s: int

    def holds(self, at_ms: int) -> bool:
        return self.start_s * 1000 <= at_ms < self.end_s * 1000


def window(budget: BudgetRecord, at_ms: int) -> Window | None:
    """The budget's window at this instant. None: a fixed budget outside its dates."""
    if budget.period == "none":
        return Window(0, FOREVER_S)
    if budget.period == "fixed":
        return _fixed(budget, at_ms)
    zone = ZoneInfo(budget.timezone)
    local = datetime.fromtimestamp(at_ms / 1000, tz=zone)
    if budget.period == "hour":
        return _hour(local)
    first, after = _dates(budget.period, local.date())
    return Window(_midnight(first, zone), _midnight(after, zone))


def _fixed(budget: BudgetRecord, at_ms: int) -> Window | None:
    start_s = (budget.starts_at_ms or 0) // 1000
    end_s = FOREVER_S if budget.ends_at_ms is None else budget.ends_at_ms // 1000
    found = Window(start_s, end_s)
    return found if found.holds(at_ms) else None


def _hour(local: datetime) -> Window:
    into = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    start_s = round((local.astimezone(UTC) - into).timestamp())
    return Window(start_s, start_s + 3600)


def _dates(period: Period, day: date) -> tuple[date, date]:
    """First day of the period that holds `day`, and first day after it."""
    if period == "day":
        return day, day + timedelta(days=1)
    if period == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=7)
    months = {"month": 1, "quarter": 3, "year": 12}[period]
    first = date(day.year, day.month - (day.month - 1) % months, 1)
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    return first, date(year, month + 1, 1)


def _midnight(day: date, zone: ZoneInfo) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())
