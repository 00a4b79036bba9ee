"""What each provider says, in its own shape: one module a protocol, one table of operations."""
