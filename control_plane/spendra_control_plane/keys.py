"""API keys: minted and hashed in Rust, so that both sides agree on the format. Named only here."""

from typing import NamedTuple

from spendra import _hot


class MintedKey(NamedTuple):
    """`text` is shown once and never stored; `hash` is its keyed hash (hex)."""

    id: str
    text: str
    hash: str


def mint(environment: str, pepper: bytes) -> MintedKey:
    """A fresh key for an environment of 1 to 16 of a-z and 0-9."""
    text, key_id = _hot.mint_key(environment)
    return MintedKey(key_id, text, _hot.hash_key(text, pepper))
