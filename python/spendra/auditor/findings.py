"""What an audit finds, and what it may be told besides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

Figure = int | str | None
THE_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Finding(NamedTuple):
    """One statement that does not hold, or (`is_violation` false) an exception that is allowed
    and has to be seen: an overrun, a limit lowered below what was taken.

    `subject` is an account, reservation, decision or batch; amounts in `figures` are nano-USD.
    """

    invariant: int
    kind: str
    org_id: str
    subject: str
    figures: Mapping[str, Figure]
    is_violation: bool = True

    def __str__(self) -> str:
        shown = ", ".join(f"{name} {value}" for name, value in self.figures.items())
        return f"invariant {self.invariant}, {self.kind}: {self.org_id} {self.subject} ({shown})"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known from outside the books.

    `limits_nanousd`: the highest limit an account ever had, where the budget is not in the
    configuration. `billed_nanousd` and `arrived`: what the provider charged, and how many requests
    it saw, of this organization in all its time. `since`: leave out what was booked earlier.
    """

    limits_nanousd: Mapping[str, int] = field(default_factory=dict)
    billed_nanousd: int | None = None
    arrived: int | None = None
    since: datetime = THE_BEGINNING
