"""Where the live balances are kept in Redis, and the scripts that change them.

All keys of one organization share a hash tag. All but `min_version` and `frozen` carry the
generation in their name, so that data of an earlier rebuild can never be read as current.
"""

import hashlib
import re
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

TOMBSTONE_SECONDS = 86_400
CLAIM_SECONDS = 86_400
"""How long an idempotency key is remembered; `spendra.claim_retention()` says the same in SQL."""
SCRIPT_NAMES = ("reserve", "extend", "post", "void", "let_go", "seed", "open")
_INCLUDE = re.compile(r"^-- include (\w+)\.lua$", re.MULTILINE)


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
    running: str
    tombstone_prefix: str
    claim_prefix: str


def keys(org_id: str, generation: str) -> Keys:
    base = f"spendra:{{{org_id}}}:{generation}:"
    names = ("generation", "records", "taken", "settled", "limits", "rates", "running")
    return Keys(*(base + name for name in (*names, "tombstone:", "claim:")))


def record(
    amount_nanousd: int, held_ms: int, extensions: int, slots: str, account_ids: list[str]
) -> str:
    """A hold as a rebuild writes it. Rates begin anew with a rebuild, so it has no charges."""
    return f"{amount_nanousd}:{held_ms}:{extensions}:{slots}:::{','.join(account_ids)}"


class Script(NamedTuple):
    text: str
    sha1: str
    """What EVALSHA takes: SHA-1 (hex) of the text."""


@lru_cache(maxsize=64)
def script(name: str, generation: str) -> Script:
    """A script of one generation. The generation is in its text, so a server that restarted,
    was restored or was promoted does not know its hash, and says so."""
    source = _INCLUDE.sub(lambda found: _source(found[1]), _source(name))
    text = source.replace("@GENERATION@", generation)
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def _source(name: str) -> str:
    return files("spendra").joinpath("redis_scripts", f"{name}.lua").read_text("utf-8")
