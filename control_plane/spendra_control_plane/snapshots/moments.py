"""Moments as snapshots say them."""

from datetime import datetime


def ms(moment: datetime | None) -> int | None:
    """Unix milliseconds of a moment, or None."""
    return None if moment is None else round(moment.timestamp() * 1000)
