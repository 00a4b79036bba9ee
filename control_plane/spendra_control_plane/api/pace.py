"""How fast one caller may ask: a bucket each, refilled evenly. Per process; no I/O, no clock."""

import math
from collections import OrderedDict
from typing import NamedTuple

LARGEST_CROWD = 10_000
"""Callers remembered; the one that was quiet longest is forgotten first, with a full bucket."""


class _Bucket(NamedTuple):
    left: float
    at_s: float


class Pace:
    """`per_minute` requests of each caller, all at once or evenly."""

    def __init__(self, per_minute: int) -> None:
        self._size = float(per_minute)
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, caller: str, now_s: float) -> int:
        """0 when it may go on, otherwise the seconds to wait, rounded up."""
        left = self._left(caller, now_s)
        if left < 1:
            return math.ceil((1 - left) * 60 / self._size)
        self._buckets[caller] = _Bucket(left - 1, now_s)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > LARGEST_CROWD:
            self._buckets.popitem(last=False)
        return 0

    def wait_s(self, caller: str, now_s: float) -> int:
        """As `take`, and nothing is taken."""
        left = self._left(caller, now_s)
        return 0 if left >= 1 else math.ceil((1 - left) * 60 / self._size)

    def _left(self, caller: str, now_s: float) -> float:
        bucket = self._buckets.get(caller)
        if bucket is None:
            return self._size
        return min(self._size, bucket.left + (now_s - bucket.at_s) * self._size / 60)
