"""One seal, and what binds it to the one before."""

import hashlib
from collections.abc import Sequence

import msgspec

from spendra.chains.merkle import leaf_hash, root

CHAINS = ("spend_events", "ledger_entries", "adjustments", "audit")
"""Tables of schema `spendra` that are sealed, each in a chain of its own per organization."""
GENESIS = "0" * 64
"""What the first seal of a chain names as the one before it."""
_MARK_BYTES = 8


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """Covers the rows whose batch is above `first_batch` and at most `last_batch`. Hashes are hex.

    `marks` holds the first eight bytes of each leaf hash, in order. They find a bad row; `root`
    is what is proved, and `hash` covers everything but the marks.
    """

    org_id: str
    chain: str
    number: int
    first_batch: int
    last_batch: int
    rows: int
    sealed_at: str
    root: str
    previous: str
    hash: str
    marks: str


def seal(
    after: Seal | None,
    last_batch: int,
    lines: Sequence[bytes],
    sealed_at: str,
    chain: str,
    org_id: str,
) -> Seal:
    """The next seal of a chain, over rows in their canonical order. `sealed_at` is ISO 8601."""
    leaves = [leaf_hash(line) for line in lines]
    made = Seal(
        org_id=org_id,
        chain=chain,
        number=after.number + 1 if after else 1,
        first_batch=after.last_batch if after else 0,
        last_batch=last_batch,
        rows=len(lines),
        sealed_at=sealed_at,
        root=root(leaves).hex(),
        previous=after.hash if after else GENESIS,
        hash="",
        marks=b"".join(leaf[:_MARK_BYTES] for leaf in leaves).hex(),
    )
    return msgspec.structs.replace(made, hash=_digest(made))


def is_sound(one: Seal, before: Seal | None) -> bool:
    """Whether it follows the one before without a gap and its hash is its own."""
    expected = (
        before.number + 1 if before else 1,
        before.last_batch if before else 0,
        before.hash if before else GENESIS,
    )
    return (one.number, one.first_batch, one.previous) == expected and one.hash == _digest(one)


def _digest(one: Seal) -> str:
    parts = (
        "spendra seal v1", one.org_id, one.chain, one.number, one.first_batch, one.last_batch,
        one.rows, one.sealed_at, one.root, one.previous,
    )  # fmt: skip
    return hashlib.sha256("".join(f"{part}\n" for part in parts).encode()).hexdigest()
