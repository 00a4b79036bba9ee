"""Where the live balances are kept in Redis, and the scripts that change them.

All keys of one organization share a hash tag. All but `min_version` and `frozen` carry the
generation in their name, so that data of an earlier rebuild can never be read as current.
"""

import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

TOMBSTONE_SECONDS = 86_400
SCRIPT_NAMES = ("reserve", "post", "void", "seed")


def min_version_key(org_id: str) -> str:
    """Smallest policy version a reservation may name; survives rebuilds, raised only."""
    return f"spendra:{{{org_id}}}:min_version"


def frozen_key(org_id: str) -> str:
    """Present while the organization's spending is stopped."""
    return f"spendra:{{{org_id}}}:frozen"


class Keys(NamedTuple):
    """Key names of one generation. Shapes are in the headers of the scripts."""

    generation: str
    records: str
    taken: str
    settled: str
    limits: str
    rates: str
    tombstone_prefix: str


def keys(org_id: str, generation: str) -> Keys:
    base = f"spendra:{{{org_id}}}:{generation}:"
    names = ("generation", "records", "taken", "settled", "limits", "rates", "tombstone:")
    return Keys(*(base + name for name in names))


class Script(NamedTuple):
    text: str
    sha1: str
    """What EVALSHA takes: SHA-1 (hex) of the text."""


@lru_cache(maxsize=64)
def script(name: str, generation: str) -> Script:
    """A script of one generation. The generation is in its text, so a server that restarted,
    was restored or was promoted does not know its hash, and says so."""
    source = files("spendra").joinpath("redis_scripts", f"{name}.lua").read_text("utf-8")
    text = source.replace("@GENERATION@", generation)
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
