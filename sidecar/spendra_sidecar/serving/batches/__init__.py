"""Batches: many requests asked at once, reserved together, settled by their results."""
