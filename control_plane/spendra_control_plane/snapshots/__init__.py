"""Snapshots: compiled from the database, signed, stored, and pushed to connected sidecars."""
