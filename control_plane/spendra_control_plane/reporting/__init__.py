"""What the ledger shows: spend of a budget, the trail of a decision, and the ledger itself."""
