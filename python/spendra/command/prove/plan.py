"""What is to be proved, and what was found."""

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

VICTIMS: Final = {
    "sidecar": "sidecar",
    "redis": "valkey",
    "postgres": "postgres",
    "worker": "worker",
    "control-plane": "control-plane",
}
"""What may be killed, and the process's name in `up.json`."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`room` calls fit the budget, `burst` come at once. `up_file`: None for stores of its own."""

    burst: int
    room: int
    sidecars: int
    repeat: int
    victims: tuple[str, ...]
    up_file: Path | None
    random: random.Random


@dataclass
class Round:
    """One burst. Amounts in nano-USD; `drift` is the largest of any account, without its sign."""

    number: int
    killed: str = "-"
    admitted: int = 0
    refused: int = 0
    unavailable: int = 0
    """Answered with 5xx, or cut with the process that was killed."""
    at_once: bool = True
    """All were decided while everything admitted was held; else ended calls made room again."""
    limit_nanousd: int = 0
    highest_nanousd: int = 0
    drift_nanousd: int = 0
    left_over: int = 0
    recovered_s: float | None = 0.0
    """None: not within the time allowed."""
    violations: list[str] = field(default_factory=list)

    @property
    def overspent_nanousd(self) -> int:
        return max(0, self.highest_nanousd - self.limit_nanousd)


def judge(found: Round, plan: Plan) -> list[str]:
    """What of a round is not as promised."""
    wrong = list(found.violations)
    if found.overspent_nanousd:
        wrong.append(f"settled + held was {found.overspent_nanousd} nano-USD above the limit")
    if found.at_once and found.admitted > plan.room:
        wrong.append(f"{found.admitted} calls were admitted where {plan.room} fit")
    if (
        found.at_once
        and found.killed == "-"
        and (found.admitted, found.unavailable) != (plan.room, 0)
    ):
        wrong.append(f"{found.admitted} of {plan.room} were admitted, {found.unavailable} failed")
    if found.drift_nanousd:
        wrong.append(f"Redis and Postgres differ by {found.drift_nanousd} nano-USD")
    if found.left_over:
        wrong.append(f"{found.left_over} reservations were left over")
    if found.recovered_s is None:
        wrong.append("it did not recover in time")
    return wrong


def table(rounds: list[Round]) -> str:
    """One line a burst."""
    head = (
        "burst", "killed", "admitted", "refused", "no answer", "at once", "highest/limit",
        "overspent", "drift", "left over", "recovered",
    )  # fmt: skip
    rows = [head, *(_row(each) for each in rounds)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )


def _row(found: Round) -> tuple[str, ...]:
    share = found.highest_nanousd / found.limit_nanousd if found.limit_nanousd else 0
    recovered = "never" if found.recovered_s is None else f"{found.recovered_s:.1f} s"
    counts = (found.admitted, found.refused, found.unavailable)
    return (
        str(found.number), found.killed, *map(str, counts), "yes" if found.at_once else "no",
        f"{share:.2%}",
        str(found.overspent_nanousd), str(found.drift_nanousd), str(found.left_over), recovered,
    )  # fmt: skip
