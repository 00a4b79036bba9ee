"""The audit of one organization: its books in one instant of Postgres, then its live balances."""

from typing import NamedTuple

from spendra.auditor.balances import compare
from spendra.auditor.findings import Evidence, Finding
from spendra.auditor.stores import Database, Redis, Row, snapshot, statements


class Check(NamedTuple):
    """`statement` of books.sql returns the rows for which `invariant` does not hold."""

    invariant: int
    statement: str
    only_idle: bool = False


CHECKS = (
    Check(3, "two_outcomes"),
    Check(3, "open_and_ended"),
    Check(3, "voided_at_a_cost"),
    Check(3, "unbalanced_batch"),
    Check(3, "event_without_its_entries"),
    Check(3, "entry_without_its_event"),
    Check(5, "charged_after_refusal"),
    Check(5, "refused_for_no_account"),
    Check(6, "still_held", only_idle=True),
    Check(7, "totals_differ"),
    Check(7, "event_on_no_account"),
    Check(7, "encumbrance_differs"),
    Check(7, "expense_differs"),
    Check(9, "written_under_a_closed_generation"),
)


async def audit(
    database: Database,
    redis: Redis,
    org_id: str,
    evidence: Evidence | None = None,
    *,
    idle: bool = False,
) -> list[Finding]:
    """Everything that does not hold, and the exceptions that are allowed (`is_violation` false).

    `idle`: also what holds only when no request is under way and every settlement has landed.
    """
    books = await audit_books(database, org_id, evidence, idle=idle)
    return books + await compare(database, redis, org_id, idle=idle)


async def audit_books(
    database: Database, org_id: str, evidence: Evidence | None = None, *, idle: bool = False
) -> list[Finding]:
    """The part that needs Postgres only: one consistent view, whatever is under way."""
    told = evidence or Evidence()
    async with snapshot(database):
        found: list[Finding] = await _over_limit(database, org_id, told)
        for check in CHECKS:
            if idle or not check.only_idle:
                found += await _check(database, org_id, told, check)
        return found + await _against_the_provider(database, org_id, told)


async def _check(database: Database, org_id: str, told: Evidence, check: Check) -> list[Finding]:
    sql = statements("books")[check.statement]
    arguments = (org_id, told.since) if "$2" in sql else (org_id,)
    rows = await database.fetch(sql, *arguments)
    return [_finding(check.invariant, check.statement, org_id, row) for row in rows]


def _finding(
    invariant: int, kind: str, org_id: str, row: Row, *, is_violation: bool = True
) -> Finding:
    figures = {name: value for name, value in row.items() if name != "subject"}
    return Finding(invariant, kind, org_id, row["subject"], figures, is_violation)


async def _over_limit(database: Database, org_id: str, told: Evidence) -> list[Finding]:
    found = [
        _finding(1, "over_limit", org_id, row, is_violation=_is_unexplained(row))
        for row in await database.fetch(statements("books")["over_limit"], org_id, told.since)
    ]
    limits = told.limits_nanousd
    rows = await database.fetch(statements("evidence")["taken"], org_id, list(limits))
    return found + [
        Finding(1, "over_limit", org_id, row["account_id"], {**figures, "limit_nanousd": limit})
        for row in rows
        for figures in [{k: v for k, v in row.items() if k != "account_id"}]
        for limit in [limits[row["account_id"]]]
        if row["settled_nanousd"] + row["held_nanousd"] > limit + row["overrun_nanousd"]
    ]


def _is_unexplained(row: Row) -> bool:
    explained = row["overrun_nanousd"] + row["adjusted_nanousd"]
    taken = row["settled_nanousd"] + row["held_nanousd"]
    return bool(taken > row["highest_nanousd"] + explained)


async def _against_the_provider(database: Database, org_id: str, told: Evidence) -> list[Finding]:
    (row,) = await database.fetch(statements("evidence")["booked"], org_id)
    found: list[Finding] = []
    taken = row["cost_nanousd"] + row["held_nanousd"]
    if told.billed_nanousd is not None and told.billed_nanousd > taken:
        figures = {"billed_nanousd": told.billed_nanousd, "taken_nanousd": taken}
        found.append(Finding(1, "billed_above_the_books", org_id, "provider", figures))
    known = row["events"] + row["reservations"]
    if told.arrived is not None and told.arrived > known:
        figures = {"arrived": told.arrived, "reserved": known}
        found.append(Finding(4, "left_unreserved", org_id, "provider", figures))
    return found
