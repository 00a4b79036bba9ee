"""The auditor: what must be true of the books and the live balances, stated once and on its own.

It shares no code with what it checks: it reads the tables and the hashes themselves. It changes
nothing, and may run beside any load. The numbers are those of the invariants in docs/ledger.md.
"""

from spendra.auditor.audit import audit, audit_books
from spendra.auditor.balances import compare
from spendra.auditor.findings import Evidence, Finding

__all__ = ["Evidence", "Finding", "audit", "audit_books", "compare"]
