"""Seals over append-only rows: what makes a removal, a change or a swap show.

The forms are described in docs/ledger.md, so that somebody else can check them.
"""

from spendra.chains.locate import first_difference
from spendra.chains.merkle import leaf_hash, root
from spendra.chains.seals import CHAINS, GENESIS, Seal, is_sound, seal

__all__ = [
    "CHAINS", "GENESIS", "Seal", "first_difference", "is_sound", "leaf_hash", "root", "seal",
]  # fmt: skip
