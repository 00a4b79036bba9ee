"""API keys: minted and hashed in Rust, so that both sides agree on the format. Named only here."""

from typing import NamedTuple

from spendra import _hot


class MintedKey(NamedTuple):
    """`text` is shown once and never stored; `hash` is its keyed hash (hex)."""

    id: str
    text: str
    hash: str


def shard_of(key_id: str) -> int:
    """Which shard of keys it is compiled into."""
    return _hot.shard_of_key(key_id)


def mint(environment: str, pepper: bytes, key_id: str | None = None) -> MintedKey:
    """A fresh key for an environment of 1 to 16 of a-z and 0-9; `key_id` when it is rotated."""
    text, minted_id = _hot.mint_key(environment, key_id)
    return MintedKey(minted_id, text, _hot.hash_key(text, pepper))
