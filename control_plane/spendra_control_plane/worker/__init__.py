"""The worker: sweeping, reconciliation and upkeep of the ledger. Several may run."""
