"""Every provider that requests may go to, as rows of one table (`docs/providers.md`)."""

from spendra.providers.matching import Match, find, own_operation, unmatched
from spendra.providers.table import COMPATIBLE, PROVIDERS, row
from spendra.providers.words import Operation, Protocol, Provider, header_of

__all__ = (
    "COMPATIBLE",
    "PROVIDERS",
    "Match",
    "Operation",
    "Protocol",
    "Provider",
    "find",
    "header_of",
    "own_operation",
    "row",
    "unmatched",
)
