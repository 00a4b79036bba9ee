"""Windows of a budget's period: they tile time, in every zone, across daylight saving."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendra.periods import FOREVER_S, Window, window
from spendra.snapshot import BudgetRecord

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")
PERIODS = ("hour", "day", "week", "month", "quarter", "year")


def budget(period: str, zone: str = "UTC", **more: int) -> BudgetRecord:
    return BudgetRecord(
        id="b", name="b", selector={}, period=period, timezone=zone, limit_nanousd=1, kind="hard",
        version=1, **more,
    )  # fmt: skip


def at(period: str, zone: str, *moment: int) -> tuple[str, str]:
    """The window of a local moment, in local time."""
    local = datetime(*moment, tzinfo=ZoneInfo(zone))  # type: ignore[arg-type, misc]
    found = window(budget(period, zone), round(local.timestamp() * 1000))
    assert found
    ends = (datetime.fromtimestamp(each, ZoneInfo(zone)) for each in found)
    return tuple(each.strftime("%Y-%m-%d %H:%M") for each in ends)  # type: ignore[return-value]


@given(
    period=st.sampled_from(PERIODS),
    zone=st.sampled_from(ZONES),
    seconds=st.integers(1_500_000_000, 2_500_000_000),
)
def test_windows_tile_time_without_gap_or_overlap(period: str, zone: str, seconds: int) -> None:
    """FIELD 32: each instant is in one window, and the next begins where it ends."""
    here = window(budget(period, zone), seconds * 1000)
    assert here is not None
    assert here.start_s <= seconds < here.end_s
    after = window(budget(period, zone), here.end_s * 1000)
    before = window(budget(period, zone), here.start_s * 1000 - 1)
    assert after is not None
    assert before is not None
    assert (after.start_s, before.end_s) == (here.end_s, here.start_s)


def test_a_day_of_daylight_saving_has_23_or_25_hours() -> None:
    """FIELD 32: daylight saving, in the budget's own zone."""
    spring = window(budget("day", "Europe/Berlin"), _ms(2026, 3, 29, 12))
    autumn = window(budget("day", "Europe/Berlin"), _ms(2026, 10, 25, 12))
    assert spring is not None
    assert autumn is not None
    assert (spring.end_s - spring.start_s) // 3600 == 23
    assert (autumn.end_s - autumn.start_s) // 3600 == 25


def test_months_end_where_they_end_in_the_budgets_own_zone() -> None:
    """FIELD 32: month ends and time zones."""
    assert at("month", "UTC", 2028, 2, 29, 23, 59) == ("2028-02-01 00:00", "2028-03-01 00:00")
    assert at("month", "America/New_York", 2026, 12, 31, 23) == (
        "2026-12-01 00:00", "2027-01-01 00:00",
    )  # fmt: skip
    assert at("quarter", "Asia/Kathmandu", 2026, 6, 30, 23) == (
        "2026-04-01 00:00", "2026-07-01 00:00",
    )  # fmt: skip


def test_prepaid_never_resets_and_fixed_dates_have_no_window_outside() -> None:
    """FIELD 32: prepaid without reset."""
    assert window(budget("none"), _ms(2026, 1, 1)) == Window(0, FOREVER_S)
    dated = budget("fixed", starts_at_ms=_ms(2026, 1, 1), ends_at_ms=_ms(2026, 2, 1))
    assert window(dated, _ms(2025, 12, 31, 23)) is None
    assert window(dated, _ms(2026, 2, 1)) is None
    assert window(dated, _ms(2026, 1, 31, 23)) is not None


@pytest.mark.parametrize("period", PERIODS)
def test_hours_that_happen_twice_are_two_windows(period: str) -> None:
    first = _ms(2026, 10, 25, 0, 30)
    twice = [window(budget(period, "Europe/Berlin"), first + at * 3_600_000) for at in (0, 1)]
    assert (twice[0] == twice[1]) == (period != "hour")


def _ms(*moment: int) -> int:
    return round(datetime(*moment, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type, misc]
