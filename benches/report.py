"""The table on the terminal, and the file for machines."""

import os
import platform
from datetime import UTC, datetime
from typing import Any

from benches.figures import CALLERS, figures
from benches.run import Ran

_COLUMNS = (
    "gateway", "added p50", "added p99", "rps c=1", "c=16", "c=64", "added 1st event",
    "per event", "CPU/request", "RSS rest", "after",
)  # fmt: skip


def report(ran: Ran, load_before: tuple[float, float, float]) -> dict[str, Any]:
    """Everything of one run; times in microseconds, memory in KiB."""
    direct = ran.gathered[0]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "load_average_before": load_before,
            "load_average_after": os.getloadavg(),
        },
        "gateways": [figures(each, direct) for each in ran.gathered],
        "absent": ran.absent,
    }


def table(told: dict[str, Any]) -> str:
    rows = [_COLUMNS, *(_row(gateway) for gateway in told["gateways"])]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_COLUMNS))]
    lines = ["  ".join(f"{cell:>{w}}" for cell, w in zip(row, widths, strict=True)) for row in rows]
    lines += ["", *_against_peers(told)]
    failed = [(each["name"], failures(each)) for each in told["gateways"]]
    lines += [
        f"{name}*: {count} calls were not answered with 200" for name, count in failed if count
    ]
    lines += [f"{name}: not measured: {why}" for name, why in told["absent"].items()]
    return "\n".join(lines)


def _row(gateway: dict[str, Any]) -> tuple[str, ...]:
    one, busy = gateway["callers"]["1"], gateway["callers"]["64"]
    own = next(iter(busy["cpu_us_per_request"].values()), None)
    return (
        gateway["name"] + ("*" if failures(gateway) else ""),
        _time(one["added_p50_us"]),
        _time(one["added_p99_us"]),
        *(f"{gateway['callers'][str(n)]['requests_per_s']:,.0f}" for n in CALLERS),
        _time(gateway["stream"].get("added_first_event_p50_us")),
        _time(gateway["stream"].get("added_per_event_p50_us")),
        _time(own),
        _memory(gateway["rss_at_rest_kib"]),
        _memory(gateway["rss_after_kib"]),
    )


def failures(gateway: dict[str, Any]) -> int:
    """Calls that were not answered with 200."""
    return sum(at["not_200"] for at in (*gateway["callers"].values(), gateway["stream"]))


def _against_peers(told: dict[str, Any]) -> list[str]:
    """Ratios, which travel better between machines than the figures do."""
    ours = told["gateways"][-1]
    return [_ratios(ours, peer) for peer in told["gateways"][1:-1]]


def _ratios(ours: dict[str, Any], peer: dict[str, Any]) -> str:
    added = [at["callers"]["1"]["added_p50_us"] for at in (ours, peer)]
    rates = [at["callers"]["64"]["requests_per_s"] or 1 for at in (ours, peer)]
    return (
        f"{ours['name']} / {peer['name']}: added latency p50 x {added[0] / max(added[1], 1):.2f}, "
        f"requests/s at 64 callers x {rates[0] / rates[1]:.2f}"
    )


def _time(us: float | None) -> str:
    if us is None:
        return ""
    return f"{us / 1000:,.2f} ms" if abs(us) >= 1000 else f"{us:.0f} us"  # noqa: PLR2004


def _memory(kib: dict[str, int]) -> str:
    """Of the gateway itself, which is named first."""
    return f"{next(iter(kib.values())) / 1024:.0f} MiB" if kib else ""
