"""The policy snapshot in force: received, verified, swapped whole, kept sealed on disk."""
