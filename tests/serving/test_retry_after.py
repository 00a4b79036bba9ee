"""A provider's wish to be left alone, however it is written; nothing that it sends raises."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from spendra_sidecar.serving.answers import retry_after_s

LONG = "9" * 5000


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7),
        ({}, 0),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "Wed, 99 Oct 2015 99:28:00 GMT"}, 0),
        ({"retry-after": f"21 Oct {LONG[:11]} 07:28:00 GMT"}, 0),
        ({"retry-after": LONG}, float("inf")),
        ({"retry-after-ms": LONG}, float("inf")),
    ],
)
def test_what_is_asked_for_is_read_or_ignored(headers: dict[str, str], seconds: float) -> None:
    assert retry_after_s(list(headers.items())) == seconds


def test_a_date_counts_from_now() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert 3500 < retry_after_s([("retry-after", date)]) <= 3600
