"""The newest snapshot of each organization, read once for all the streams that wait for it."""

import asyncio
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import msgspec

from spendra.snapshot import Manifest, decode, segment_hash, sign
from spendra_control_plane.snapshots.views import WHOLE, Shards, View, narrow_secrets
from spendra_control_plane.stores.postgres import Pool, Row
from spendra_control_plane.stores.sql import statements
from spendra_control_plane.stores.vault import Vault

SQL = statements("snapshots")
_HAVE = re.compile(r"([0-9]{1,18}):[0-9a-f]{64}")


class Held(NamedTuple):
    """What a sidecar has: which snapshot (`spendra.snapshot.have`), and its segments' hashes."""

    which: str
    hashes: frozenset[str]


NOTHING = Held("", frozenset())


@dataclass(frozen=True)
class Published:
    """`hashes` maps segment names to hashes, `segments` hashes to plaintext bytes."""

    version: int
    manifest: bytes
    signature: bytes
    hashes: dict[str, str]
    segments: dict[str, bytes]
    events: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """Its event, by what the sidecar had and by the token that its secrets are sealed for."""

    @cached_property
    def held(self) -> Held:
        """By a sidecar that has taken it."""
        return Held(_which(self.version, self.manifest), frozenset(self.segments))


@dataclass
class _Seen:
    """The newest snapshot as one view shows it."""

    shards: Shards
    published: Published | None = None


@dataclass
class Reader:
    pool: Pool
    vault: Vault

    def __post_init__(self) -> None:
        self._newest: dict[str, Published] = {}
        self._views: dict[str, dict[View, _Seen]] = defaultdict(dict)
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def newest(self, org_id: str, at_least: int, view: View) -> Published:
        """From memory when it is `at_least` that version, else from the database."""
        async with self._locks[org_id]:
            known = self._newest.get(org_id)
            if known is None or known.version < at_least:
                known = await self._load(org_id, known.segments if known else {})
                self._newest[org_id] = known
            return known if view == WHOLE else await self._seen(org_id, known, view)

    async def held(self, org_id: str, have: str, view: View) -> Held:
        """Of what a sidecar says it has; nothing of a snapshot that is not known here. Of views
        only the newest snapshot is."""
        said = _HAVE.fullmatch(have)
        if view != WHOLE and said is not None:
            newest = await self.newest(org_id, int(said[1]), view)
            if newest.held.which == have:
                return newest.held
        if said is None:
            return NOTHING
        version = int(said[1])
        row = await self.pool.fetchrow(SQL["version"], org_id, version)
        if row is None or _which(version, row["manifest"]) != have:
            return NOTHING
        return Held(have, frozenset(row["segments"].values()))

    def forget(self, org_id: str) -> None:
        """Free the memory of an organization that nobody listens for."""
        self._newest.pop(org_id, None)
        self._views.pop(org_id, None)
        self._locks.pop(org_id, None)

    async def _seen(self, org_id: str, whole: Published, view: View) -> Published:
        """What the view shows of it, signed anew: the same at each control plane."""
        seen = self._views[org_id].setdefault(view, _Seen(Shards(view)))
        if seen.published is None or seen.published.version < whole.version:
            shards = await seen.shards.narrowed(whole.hashes, whole.segments)
            segments = {
                "policy": whole.segments[whole.hashes["policy"]],
                "prices": whole.segments[whole.hashes["prices"]],
                "secrets": narrow_secrets(whole.segments[whole.hashes["secrets"]], view, shards),
                **shards,
            }
            seen.published = await self._signed(org_id, whole, segments)
        return seen.published

    async def _signed(self, org_id: str, whole: Published, segments: dict[str, bytes]) -> Published:
        hashes = {name: segment_hash(data) for name, data in segments.items()}
        manifest = msgspec.structs.replace(decode(whole.manifest, Manifest), segments=hashes)
        org = await self.pool.fetchrow(SQL["reread"], org_id)
        assert org is not None  # noqa: S101 - it has a snapshot
        raw, signature = sign(manifest, self.vault.signing_key(org_id, org["signing_key_sealed"]))
        by_hash = {hashes[name]: data for name, data in segments.items()}
        return Published(whole.version, raw, signature, hashes, by_hash)

    async def _load(self, org_id: str, known: dict[str, bytes]) -> Published:
        rows = await self.pool.fetch(SQL["newest"], org_id, list(known))
        return Published(
            version=rows[0]["version"],
            manifest=rows[0]["manifest"],
            signature=rows[0]["signature"],
            hashes={row["name"]: row["hash"] for row in rows},
            segments={row["hash"]: self._plaintext(org_id, row, known) for row in rows},
        )

    def _plaintext(self, org_id: str, row: Row, known: dict[str, bytes]) -> bytes:
        if row["hash"] in known:
            return known[row["hash"]]
        data: bytes = row["bytes"]
        return self.vault.unseal(org_id, row["hash"], data) if row["sealed"] else data


def _which(version: int, manifest: bytes) -> str:
    return f"{version}:{segment_hash(manifest)}"
