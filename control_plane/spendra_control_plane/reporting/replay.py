"""A policy or a budget that is only proposed, held against what was spent: who would have been
stopped, and what that would have saved.

Told from what the ledger keeps of an attempt. Its tools are not kept; what its answer would have
cost under a shorter limit is not known, so that only counts as shortened.
"""

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from spendra._hot import vendor_of
from spendra.hours import is_open
from spendra.periods import window
from spendra.scopes import LABEL_PREFIX, globs
from spendra.snapshot import BudgetRecord, Rules, Selector
from spendra_control_plane.authoring.amounts import amount
from spendra_control_plane.authoring.refusals import refuse_invalid
from spendra_control_plane.reporting.kept import require_kept
from spendra_control_plane.snapshots.moments import ms
from spendra_control_plane.stores.postgres import Pool, Row
from spendra_control_plane.stores.sql import statements

SQL = statements("replay")
PAGE: Final = 5000
MOST_EVENTS: Final = 1_000_000
"""Of one replay; more are asked for in parts, by time."""
MOST_CALLERS: Final = 100
MOST_EXAMPLES: Final = 20
NOT_REPLAYED: Final = (
    "tools_allow",
    "tools_deny",
    "default_output_tokens",
    "fit_output_to_budget",
    "unlimited_output",
    "routing",
)
"""Rules about which the ledger has nothing to tell."""
_MINUTE_MS: Final = 60_000
_CALLER: Final = ("key", "person", "agent", "project", "team")


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """A policy (`rules`) or a budget, over the requests that the selector matches."""

    selector: Selector
    rules: Rules | None = None
    budget: BudgetRecord | None = None


async def replay(
    pool: Pool, org_id: str, proposed: Proposed, start: datetime, end: datetime
) -> dict[str, Any]:
    """Half-open in time."""
    await require_kept(pool, org_id, start)
    judge = _Policy(proposed.rules) if proposed.rules else _Budget(proposed.budget)
    told = _Told()
    async for event in _events(pool, org_id, proposed.selector, start, end):
        reason = told.again(event) or judge.refuses(event)
        if reason:
            told.stop(event, reason)
        else:
            told.passed(event, shortened=judge.passed(event))
    skipped = [] if proposed.rules is None else _skipped(proposed.rules)
    return {"from": start, "to": end, **told.view(), "not_replayed": skipped}


async def _events(
    pool: Pool, org_id: str, selector: Selector, start: datetime, end: datetime
) -> AsyncIterator[Row]:
    after: tuple[datetime | None, UUID | None] = (None, None)
    seen = 0
    while True:
        rows = await pool.fetch(SQL["events"], org_id, start, end, selector, *after, PAGE)
        seen += len(rows)
        if seen > MOST_EVENTS:
            refuse_invalid(f"More than {MOST_EVENTS} attempts match; ask for a shorter time.")
        for row in rows:
            yield row
        if len(rows) < PAGE:
            return
        after = (rows[-1]["reserved_at"], rows[-1]["reservation_id"])


def _skipped(rules: Rules) -> list[str]:
    return [name for name in NOT_REPLAYED if getattr(rules, name) is not None]


class _Budget:
    """As settled costs fill it: what is in flight at the same time is not counted."""

    def __init__(self, budget: BudgetRecord | None) -> None:
        assert budget is not None  # noqa: S101 - a body has one of the two
        self._budget = budget
        self._spent: Counter[int] = Counter()

    def refuses(self, event: Row) -> str | None:
        start = self._window(event)
        if start is None:
            return None
        left = self._budget.limit_nanousd - self._spent[start]
        return "budget_exhausted" if event["reserved_nanousd"] > left else None

    def passed(self, event: Row) -> bool:
        start = self._window(event)
        if start is not None:
            self._spent[start] += event["cost_nanousd"]
        return False

    def _window(self, event: Row) -> int | None:
        found = window(self._budget, _at_ms(event))
        return None if found is None else found.start_s


class _Policy:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._checks = [*_lists(rules), *_checks(rules)]
        self._rate = _Rate(rules.requests_per_minute)
        self._tokens = _Rate(rules.tokens_per_minute)
        self._ends: list[int] = []
        """When those in flight ended, as a heap."""

    def refuses(self, event: Row) -> str | None:
        said = next((code for code, refuses in self._checks if refuses(event)), None)
        return said or self._counted(event)

    def passed(self, event: Row) -> bool:
        at_ms = _at_ms(event)
        self._rate.take(at_ms, 1)
        self._tokens.take(at_ms, _tokens(event))
        heapq.heappush(self._ends, ms(event["settled_at"]) or at_ms)
        most = self._rules.max_output_tokens
        return most is not None and event["output_tokens"] > most

    def _counted(self, event: Row) -> str | None:
        at_ms, most = _at_ms(event), self._rules.max_concurrency
        while self._ends and self._ends[0] <= at_ms:
            heapq.heappop(self._ends)
        if most is not None and len(self._ends) >= most:
            return "concurrency_limited"
        if self._rate.is_over(at_ms, 1) or self._tokens.is_over(at_ms, _tokens(event)):
            return "rate_limited"
        return None


class _Rate:
    """The generic cell rate algorithm with a burst of one minute's worth, as sidecars have it."""

    def __init__(self, most: int | None) -> None:
        self._each_ms = None if most is None else _MINUTE_MS / most
        self._until_ms = 0.0

    def is_over(self, at_ms: int, count: int) -> bool:
        return self._each_ms is not None and self._after(at_ms, count) - at_ms > _MINUTE_MS

    def take(self, at_ms: int, count: int) -> None:
        self._until_ms = self._after(at_ms, count)

    def _after(self, at_ms: int, count: int) -> float:
        return max(self._until_ms, at_ms) + (self._each_ms or 0) * count


def _lists(rules: Rules) -> Iterator[tuple[str, Callable[[Row], bool]]]:
    for patterns, read, code, denies in (
        (rules.models_deny, _model, "model_not_allowed", True),
        (rules.models_allow, _model, "model_not_allowed", False),
        (rules.providers_deny, _provider, "provider_not_allowed", True),
        (rules.providers_allow, _provider, "provider_not_allowed", False),
        (rules.environments_allow, _environments, "environment_not_allowed", False),
        (rules.vendors_deny, _vendor, "vendor_not_allowed", True),
        (rules.vendors_allow, _vendor, "vendor_not_allowed", False),
    ):
        if patterns is not None:
            yield code, _list(globs(patterns), read, denies=denies)


def _checks(rules: Rules) -> Iterator[tuple[str, Callable[[Row], bool]]]:
    hours, blocks = rules.hours, rules.review != "flag"
    labels = {LABEL_PREFIX + name for name in rules.required_labels or ()}
    if hours is not None:
        yield "outside_hours", lambda event: not is_open(hours, _at_ms(event))
    yield "label_missing", lambda event: not labels <= event["facts"].keys()
    for name, values in (rules.labels_allow or {}).items():
        yield "label_not_allowed", _label(LABEL_PREFIX + name, globs(values))
    for code, column, most in (
        ("input_too_large", "input_tokens", rules.max_input_tokens),
        ("request_too_expensive", "reserved_nanousd", rules.max_request_nanousd),
        ("review_required", "reserved_nanousd", rules.review_above_nanousd if blocks else None),
    ):
        if most is not None:
            yield code, _above(column, most)


def _list(
    listed: re.Pattern[str], read: Callable[[Row], list[str]], *, denies: bool
) -> Callable[[Row], bool]:
    return lambda event: any(map(listed.fullmatch, read(event))) == denies


def _model(event: Row) -> list[str]:
    return [event["requested_model"]]


def _provider(event: Row) -> list[str]:
    return [event["provider"]]


def _vendor(event: Row) -> list[str]:
    return [vendor_of(event["provider"], event["requested_model"])]


def _environments(event: Row) -> list[str]:
    return list(event["facts"].get("environment", []))


def _label(name: str, allowed: re.Pattern[str]) -> Callable[[Row], bool]:
    return lambda event: not all(map(allowed.fullmatch, event["facts"].get(name, [])))


def _above(column: str, most: int) -> Callable[[Row], bool]:
    return lambda event: event[column] > most


def _tokens(event: Row) -> int:
    found: int = event["input_tokens"] + event["output_tokens"]
    return found


def _at_ms(event: Row) -> int:
    moment: datetime = event["reserved_at"]
    return round(moment.timestamp() * 1000)


@dataclass
class _Sum:
    stopped: int = 0
    saved_nanousd: int = 0

    def add(self, nanousd: int) -> None:
        self.stopped += 1
        self.saved_nanousd += nanousd

    def view(self) -> dict[str, Any]:
        return {"stopped": self.stopped, **amount("saved", self.saved_nanousd)}


@dataclass
class _Told:
    seen: int = 0
    shortened: int = 0
    spent_nanousd: int = 0
    total: _Sum = field(default_factory=_Sum)
    reasons: dict[str, _Sum] = field(default_factory=lambda: defaultdict(_Sum))
    callers: dict[tuple[tuple[str, str], ...], _Sum] = field(
        default_factory=lambda: defaultdict(_Sum)
    )
    stopped: dict[UUID, str] = field(default_factory=dict)

    def again(self, event: Row) -> str | None:
        """Why an earlier attempt of the same request was stopped: this one would not have been."""
        return self.stopped.get(event["decision_id"])

    def stop(self, event: Row, reason: str) -> None:
        cost = event["cost_nanousd"]
        self._see(cost)
        self.stopped[event["decision_id"]] = reason
        self.total.add(cost)
        self.reasons[reason].add(cost)
        self.callers[_caller(event["facts"])].add(cost)

    def passed(self, event: Row, *, shortened: bool) -> None:
        self._see(event["cost_nanousd"])
        self.shortened += shortened

    def _see(self, cost: int) -> None:
        self.seen += 1
        self.spent_nanousd += cost

    def view(self) -> dict[str, Any]:
        worst = sorted(self.callers.items(), key=lambda each: -each[1].saved_nanousd)
        return {
            "seen": self.seen,
            **amount("spent", self.spent_nanousd),
            **self.total.view(),
            "shortened": self.shortened,
            "reasons": [{"reason": name, **each.view()} for name, each in self.reasons.items()],
            "callers": [
                {"scope": dict(caller), **each.view()} for caller, each in worst[:MOST_CALLERS]
            ],
            "examples": [str(decision) for decision in list(self.stopped)[:MOST_EXAMPLES]],
        }


def _caller(facts: dict[str, list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, facts[name][0]) for name in _CALLER if facts.get(name))
