"""From what the load generator saw to the figures of a report: medians over rounds, differences."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

CALLERS = (1, 16, 64)
Seen = dict[str, Any]


@dataclass
class Gathered:
    """All rounds of one gateway. `whole` by number of callers."""

    name: str
    switched_on: str
    whole: dict[int, list[Seen]] = field(default_factory=dict)
    streams: list[Seen] = field(default_factory=list)
    rss_at_rest_kib: dict[str, int] = field(default_factory=dict)
    rss_after_kib: dict[str, int] = field(default_factory=dict)


def figures(gateway: Gathered, direct: Gathered) -> dict[str, Any]:
    """Microseconds, requests per second, KiB. `added`: through minus direct, round by round."""
    return {
        "name": gateway.name,
        "switched_on": gateway.switched_on,
        "callers": {str(n): _at(gateway.whole[n], direct.whole[n]) for n in gateway.whole},
        "stream": _stream(gateway.streams, direct.streams),
        "rss_at_rest_kib": gateway.rss_at_rest_kib,
        "rss_after_kib": gateway.rss_after_kib,
    }


def _at(through: Sequence[Seen], direct: Sequence[Seen]) -> dict[str, Any]:
    return {
        "added_p50_us": _added(through, direct, "whole_us", "p50"),
        "added_p99_us": _added(through, direct, "whole_us", "p99"),
        "p50_us": median(seen["whole_us"]["p50"] for seen in through),
        "p99_us": median(seen["whole_us"]["p99"] for seen in through),
        "requests_per_s": median(map(_rate, through)),
        "requests_per_s_of_rounds": [round(_rate(seen), 1) for seen in through],
        "cpu_us_per_request": _cpu_per_request(through),
        "not_200": sum(_not_200(seen) for seen in through),
    }


def _stream(through: Sequence[Seen], direct: Sequence[Seen]) -> dict[str, Any]:
    """Only `not_200` where no stream came through."""
    failed = sum(_not_200(seen) for seen in through)
    if not all(seen["lag_us"]["count"] for seen in through):
        return {"not_200": failed}
    return {
        "added_first_event_p50_us": _added(through, direct, "first_us", "p50"),
        "added_first_event_p99_us": _added(through, direct, "first_us", "p99"),
        "added_per_event_p50_us": _added(through, direct, "lag_us", "p50"),
        "added_per_event_p99_us": _added(through, direct, "lag_us", "p99"),
        "cpu_us_per_event": _cpu_per_event(through),
        "not_200": failed,
    }


def _added(through: Sequence[Seen], direct: Sequence[Seen], what: str, rank: str) -> float:
    pairs = zip(through, direct, strict=True)
    differences = [float(ours[what][rank] - theirs[what][rank]) for ours, theirs in pairs]
    return round(median(differences), 1)


def _rate(seen: Seen) -> float:
    return float(seen["in_time"]) / float(seen["measured_us"]) * 1e6


def _not_200(seen: Seen) -> int:
    return int(seen["failures"]) + int(seen["answers"]) - int(seen["statuses"].get("200", 0))


def _cpu_per_request(through: Sequence[Seen]) -> dict[str, float]:
    """Over all that was answered, the warm-up too, since its time is in the sum."""
    answered = sum(seen["answers"] + seen["warmup_answers"] for seen in through) or 1
    return {name: round(_cpu(through, name) / answered, 1) for name in through[0]["cpu_us"]}


def _cpu_per_event(through: Sequence[Seen]) -> dict[str, float]:
    events = sum(_events(seen) for seen in through) or 1
    return {name: round(_cpu(through, name) / events, 1) for name in through[0]["cpu_us"]}


def _events(seen: Seen) -> float:
    """The warm-up's too, taken to be as many to an answer."""
    answers = max(int(seen["answers"]), 1)
    return float(seen["lag_us"]["count"]) * (1 + int(seen["warmup_answers"]) / answers)


def _cpu(through: Sequence[Seen], name: str) -> float:
    return float(sum(seen["cpu_us"][name] for seen in through))
