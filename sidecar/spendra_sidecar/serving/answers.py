"""Governance headers on answers. Names: docs/headers.md."""

import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from spendra.money import nanousd_to_usd
from spendra_sidecar.ledger.words import Held, Outcome, Reservation

if TYPE_CHECKING:
    from spendra_sidecar.serving.call import Admission

_TRACE_ID = re.compile("[0-9a-f]{32}")
Pairs = list[tuple[str, str]]


def identity(decision_id: str, trace: tuple[str, str]) -> Pairs:
    trace_id, span_id = trace
    return [
        ("x-spendra-decision-id", decision_id),
        ("x-spendra-audit-id", decision_id),
        ("x-spendra-trace-id", trace_id),
        ("x-spendra-span-id", span_id),
    ]


def latency(started_ns: int, waited_ns: int) -> Pairs:
    """What Spendra itself took: all the time so far, less the wait for the provider."""
    added_ms = (time.perf_counter_ns() - started_ns - waited_ns) / 1e6
    return [("x-spendra-latency-ms", f"{added_ms:.3f}")]


def admitted(admission: "Admission", asked: str, warning: str) -> Pairs:
    """`asked`: the model that the caller named; `warning`: about what else it said."""
    reservation, judged = admission.reservation, admission.judged
    pairs = [
        ("x-spendra-requested-model", asked or judged.model),
        ("x-spendra-routed", judged.route.name),
    ]
    if region := judged.route.record.parameters.get("location"):
        pairs.append(("x-spendra-region", region))
    remaining = _remaining(reservation, admission.held)
    if remaining is not None:
        pairs.append(("x-spendra-remaining", nanousd_to_usd(remaining)))
    if warnings := "; ".join(filter(None, (judged.decision.warning, warning))):
        pairs.append(("x-spendra-policy-warning", warnings))
    return pairs


def retry_after_s(headers: Pairs) -> float:
    """How long the provider asks to be left alone, in seconds or until a date; 0: it does not."""
    found = dict(headers)
    ms, wish = found.get("retry-after-ms", ""), found.get("retry-after", "")
    if ms.isdecimal():
        return float(ms) / 1000
    return float(wish) if wish.isdecimal() else _seconds_until(wish)


def _seconds_until(date: str) -> float:
    """0 for what is over, or is no date of HTTP (RFC 9110, 10.2.3)."""
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return 0.0
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((zoned - datetime.now(UTC)).total_seconds(), 0.0)


def estimated(reservation: Reservation) -> Pairs:
    return [("x-spendra-estimated-cost", nanousd_to_usd(reservation.estimated_nanousd))]


def final(end: Outcome) -> Pairs:
    return [
        ("x-spendra-cost", nanousd_to_usd(end.cost_nanousd)),
        ("x-spendra-model", end.model),
        ("x-spendra-tokens", f"{end.tokens.input}/{end.tokens.output}"),
    ]


def trailer(end: Outcome) -> bytes:
    """The last comment of a stream, for callers who ask with `X-Spendra-Trailer: cost`."""
    cost = nanousd_to_usd(end.cost_nanousd)
    tokens = f"{end.tokens.input}/{end.tokens.output}"
    return f": spendra cost={cost} tokens={tokens} confidence={end.confidence}\n\n".encode()


def trace_of(traceparent: str | None, named: str | None, random: bytes) -> tuple[str, str]:
    """Trace and span id: the caller's W3C trace, continued, or the id it names, or one of ours."""
    parts = (traceparent or f"-{named}--").split("-")
    trace_id = parts[1].lower() if len(parts) >= 4 else ""  # noqa: PLR2004 - W3C form
    if not _TRACE_ID.fullmatch(trace_id):
        trace_id = random[:16].hex()
    return trace_id, random[16:24].hex()


def _remaining(reservation: Reservation, held: Held) -> int | None:
    """What the tightest hard budget has left, this request's hold taken off."""
    rooms = [
        account.limit_nanousd - taken
        for account, taken in zip(reservation.accounts, held.taken_nanousd, strict=True)
        if account.limit_nanousd is not None
    ]
    return max(min(rooms), 0) if rooms else None
