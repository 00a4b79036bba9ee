"""The auditor on live data: drift every few rounds, the books now and then, and repair."""

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from spendra.auditor import Evidence, Finding, audit_books, compare
from spendra_control_plane.stores.postgres import Pool
from spendra_control_plane.stores.sql import statements
from spendra_control_plane.worker import sweep
from spendra_control_plane.worker.holds import Client
from spendra_control_plane.worker.metrics import DRIFT_KINDS, Metrics

_log = logging.getLogger(__name__)
_SQL = statements("worker")
_INVARIANTS = range(1, 10)
_BOOKS_BACK = timedelta(days=2)
"""The live audit looks at what is younger; `spendra ledger verify` looks at everything."""


async def check_drift(pool: Pool, client: Client, org_id: str, metrics: Metrics) -> list[Finding]:
    """Compare Redis with Postgres; where they differ, have the balances rebuilt."""
    generation = await pool.fetchval(_SQL["generation"], org_id)
    async with pool.acquire() as connection:
        found = await compare(connection, client, org_id)
    by_kind: Counter[str] = Counter()
    for finding in found:
        by_kind[finding.kind] += abs(int(finding.figures["drift_nanousd"] or 0))
        _log.error("%s", finding)
    for kind in DRIFT_KINDS:
        metrics.drift.labels(org_id, kind).set(by_kind[kind])
    if found and await repair(pool, org_id, generation, found):
        await sweep.withdraw(pool, client, org_id)
        metrics.reconciliations.labels(org_id).inc()
    return found


async def repair(pool: Pool, org_id: str, generation: str, found: Sequence[Finding]) -> bool:
    """Close the generation that was found wrong: the next request rebuilds from Postgres."""
    rows = [{"kind": f.kind, "subject": f.subject, **f.figures} for f in found[:100]]
    done = bool(await pool.fetchval(_SQL["reconcile"], org_id, generation, rows))
    if done:
        _log.error(
            "%s: closed generation %s of the live balances over %d differences; "
            "the next request rebuilds them from Postgres",
            org_id,
            generation,
            len(found),
        )
    return done


async def audit_recent(pool: Pool, org_id: str, metrics: Metrics) -> list[Finding]:
    """The invariants of the books, over what is recent."""
    since = datetime.now(UTC) - _BOOKS_BACK
    async with pool.acquire() as connection:
        found = await audit_books(connection, org_id, Evidence(since=since))
    violations = [finding for finding in found if finding.is_violation]
    for finding in violations:
        _log.error("%s", finding)
    counted = Counter(finding.invariant for finding in violations)
    for invariant in _INVARIANTS:
        metrics.findings.labels(org_id, str(invariant)).set(counted[invariant])
    metrics.exceptions.labels(org_id).set(len(found) - len(violations))
    return violations
