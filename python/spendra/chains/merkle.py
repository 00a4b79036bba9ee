"""The Merkle tree hash of RFC 6962, section 2.1, with SHA-256."""

import hashlib
from collections.abc import Iterable

_LEAF = b"\x00"
_NODE = b"\x01"


def leaf_hash(row: bytes) -> bytes:
    """Of one row's canonical bytes."""
    return hashlib.sha256(_LEAF + row).digest()


def root(leaves: Iterable[bytes]) -> bytes:
    """Of leaf hashes, in order. Memory grows with the logarithm of their number."""
    peaks: list[tuple[int, bytes]] = []
    for leaf in leaves:
        peaks.append((1, leaf))
        while len(peaks) > 1 and peaks[-1][0] == peaks[-2][0]:
            _join(peaks)
    while len(peaks) > 1:
        _join(peaks)
    return peaks[0][1] if peaks else hashlib.sha256(b"").digest()


def _join(peaks: list[tuple[int, bytes]]) -> None:
    right, left = peaks.pop(), peaks.pop()
    peaks.append((left[0] + right[0], hashlib.sha256(_NODE + left[1] + right[1]).digest()))
