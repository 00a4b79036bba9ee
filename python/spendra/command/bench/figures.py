"""Medians of rounds, and what is between them."""

from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Final

from spendra.command.bench.load import Sample

_MS: Final = 1000
_HUNDREDTHS: Final = 100


@dataclass
class Figures:
    """Rounds of one number of callers, without and through a sidecar."""

    callers: int
    direct: list[Sample] = field(default_factory=list)
    through: list[Sample] = field(default_factory=list)


def table(rows: list[Figures]) -> str:
    """A line for each number of callers; medians of the rounds."""
    head = ("callers", "direct p50", "p99", "sidecar p50", "p99", "added p50", "p99", "requests/s")
    cells = [head, *(_row(row) for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(head))]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    ]
    note = (
        "Milliseconds; a durable reservation in Postgres for each request. The caller is Python\n"
        "and shares the machine, so requests/s say more of it than of the sidecar."
    )
    return "\n".join([*lines, note, ""])


def _row(row: Figures) -> tuple[str, ...]:
    direct = [median(_at(sample, part) for sample in row.direct) for part in (50, 99)]
    through = [median(_at(sample, part) for sample in row.through) for part in (50, 99)]
    added = [ours - theirs for ours, theirs in zip(through, direct, strict=True)]
    rate = median(len(sample.latencies_s) / sample.elapsed_s for sample in row.through)
    return (str(row.callers), *(f"{each:.2f}" for each in direct + through + added), f"{rate:.0f}")


def _at(sample: Sample, part: int) -> float:
    """Milliseconds; of a single request itself."""
    if len(sample.latencies_s) == 1:
        return sample.latencies_s[0] * _MS
    return quantiles(sample.latencies_s, n=_HUNDREDTHS, method="inclusive")[part - 1] * _MS
