"""Hours of policies, by the clocks of their own zones."""

from datetime import UTC, datetime

import pytest

from spendra.hours import DAYS, HoursClock, is_open
from spendra.snapshot import Hours, OpenHours, PolicyRecord, Rules


def ms(written: str) -> int:
    return round(datetime.fromisoformat(written).timestamp() * 1000)


def hours(zone: str, opens: str, closes: str, *days: str) -> Hours:
    open_ = OpenHours(days=[day for day in DAYS if day in days], opens=opens, closes=closes)
    return Hours(timezone=zone, open=[open_])


@pytest.mark.parametrize(
    ("zone", "at", "found"),
    [
        ("UTC", "2026-03-09T07:59:59+00:00", False),
        ("UTC", "2026-03-09T08:00:00+00:00", True),
        ("UTC", "2026-03-09T17:59:59+00:00", True),
        ("UTC", "2026-03-09T18:00:00+00:00", False),
        ("UTC", "2026-03-10T09:00:00+00:00", False),
        ("Asia/Kolkata", "2026-03-09T02:30:00+00:00", True),
        ("Asia/Kolkata", "2026-03-09T02:29:59+00:00", False),
        # An hour earlier by UTC once daylight saving has begun, on the 29th.
        ("Europe/Zurich", "2026-03-23T07:00:00+00:00", True),
        ("Europe/Zurich", "2026-03-30T06:00:00+00:00", True),
        ("Europe/Zurich", "2026-03-30T16:00:00+00:00", False),
    ],
)
def test_a_working_day_is_one_by_the_clocks_of_its_zone(zone: str, at: str, *, found: bool) -> None:
    assert is_open(hours(zone, "08:00", "18:00", "mon"), ms(at)) is found


def test_a_day_may_last_until_its_end() -> None:
    day = hours("UTC", "00:00", "24:00", "mon")
    assert is_open(day, ms("2026-03-09T23:59:59+00:00"))
    assert not is_open(day, ms("2026-03-10T00:00:00+00:00"))


def test_the_clock_names_what_is_closed_as_time_passes() -> None:
    rules = Rules(hours=hours("UTC", "08:00", "18:00", "mon"))
    policies = [
        PolicyRecord(id="pol_1", name="p", selector={}, rules=rules),
        PolicyRecord(id="pol_2", name="p", selector={}, rules=Rules()),
    ]
    clock = HoursClock(policies)
    times = ["2026-03-09T07:59:59+00:00", "2026-03-09T08:00:00+00:00", "2026-03-09T18:00:00+00:00"]
    assert [clock.closed(ms(at)) for at in times] == [["pol_1"], [], ["pol_1"]]
    assert datetime.fromtimestamp(ms(times[0]) / 1000, UTC).weekday() == 0
