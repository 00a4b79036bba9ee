"""A principal of a key's record alone, for whoever stands for a key without its text."""

import os
from typing import Final

import msgspec

from spendra._hot import KeyRing, KeyShard, Principal, hash_key, mint_key
from spendra.snapshot import KeyHash, KeyRecord, KeysSegment

_PEPPER_BYTES: Final = 32


def principal_of(record: KeyRecord, now_ms: int) -> Principal | str:
    """As `KeyRing.authenticate`, by a secret that is made for this and thrown away."""
    text, _ = mint_key(record.environment, record.id)
    pepper = os.urandom(_PEPPER_BYTES)
    known = msgspec.structs.replace(record, hashes=[KeyHash(hash=hash_key(text, pepper))])
    shard = KeyShard.load(msgspec.json.encode(KeysSegment(keys=[known])))
    return KeyRing([shard], pepper).authenticate(text, now_ms)
