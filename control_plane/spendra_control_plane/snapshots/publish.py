"""Every configuration change in one transaction: change, compile, sign, store, announce."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property

from spendra.snapshot import SCHEMA_VERSION, Manifest, segment_hash, sign
from spendra_control_plane.snapshots.compile import compile_segments
from spendra_control_plane.snapshots.floors import Floors
from spendra_control_plane.stores.postgres import Connection, Pool, Row
from spendra_control_plane.stores.sql import statements
from spendra_control_plane.stores.vault import Vault

SQL = statements("snapshots")
SNAPSHOTS_WITH_SEGMENTS = 20
"""Segments of older snapshots are removed; a stream sends only the newest."""
SNAPSHOTS = 1000
"""What a sidecar has that is further behind is not known any more: it gets the newest whole."""


@dataclass
class Change:
    """A change under way. Set `restricts` when it takes something away from a caller."""

    connection: Connection
    org_id: str
    restricts: bool = False


@dataclass(frozen=True)
class Publisher:
    """`catalog` are the bytes of the price catalog; `announce` hears of each new version."""

    pool: Pool
    vault: Vault
    floors: Floors
    catalog: bytes
    announce: Callable[[str, int], None]

    @asynccontextmanager
    async def change(self, org_id: str) -> AsyncIterator[Change]:
        """What is done on `change.connection` is published when the block ends well."""
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.fetchrow(SQL["lock"], org_id)
            change = Change(connection, org_id)
            yield change
            version = await self._publish(change)
        self.announce(org_id, version)
        if change.restricts:
            await self.floors.raise_to(org_id, version)

    @cached_property
    def catalog_hash(self) -> str:
        return segment_hash(self.catalog)

    async def refresh_prices(self) -> None:
        """Publish anew for each organization whose snapshot holds another catalog."""
        for row in await self.pool.fetch(SQL["other_prices"], self.catalog_hash):
            async with self.change(row["id"]):
                pass

    async def _publish(self, change: Change) -> int:
        connection, org_id = change.connection, change.org_id
        version: int = await connection.fetchval(SQL["advance"], org_id, change.restricts)
        org = await connection.fetchrow(SQL["reread"], org_id)
        assert org is not None  # noqa: S101 - its lock is held
        hashes = await self._segments(connection, org, version)
        await self._record(connection, org, version, hashes)
        await connection.execute(SQL["prune_segments"], org_id, version - SNAPSHOTS_WITH_SEGMENTS)
        await connection.execute(SQL["prune_snapshots"], org_id, version - SNAPSHOTS)
        await connection.fetchval(SQL["notify"], f"{org_id}:{version}")
        return version

    async def _segments(self, connection: Connection, org: Row, version: int) -> dict[str, str]:
        """Those of the version before, and what is stale compiled anew."""
        before = await connection.fetchrow(SQL["version"], org["id"], version - 1)
        stale = {row["name"] for row in await connection.fetch(SQL["take_stale"], org["id"])}
        if before is not None and before["catalog"] != self.catalog_hash:
            stale.add("prices")
        compiled = await compile_segments(connection, org, self.vault, self.catalog, stale)
        known = {} if before is None else before["segments"]
        kept = {name: digest for name, digest in known.items() if name not in stale}
        return kept | await self._store(connection, org["id"], compiled)

    async def _store(
        self, connection: Connection, org_id: str, segments: dict[str, bytes]
    ) -> dict[str, str]:
        hashes = {name: segment_hash(data) for name, data in segments.items()}
        rows = await connection.fetch(SQL["stored_hashes"], org_id, list(hashes.values()))
        stored = {row["hash"] for row in rows}
        for name, hash_ in hashes.items():
            if hash_ not in stored:
                sealed = name == "secrets"
                data = self.vault.seal(org_id, hash_, segments[name]) if sealed else segments[name]
                await connection.execute(SQL["insert_segment"], org_id, hash_, data, sealed)
        return hashes

    async def _record(
        self, connection: Connection, org: Row, version: int, hashes: dict[str, str]
    ) -> None:
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            org_id=org["id"],
            version=version,
            compiled_at_ms=time.time_ns() // 1_000_000,
            segments=hashes,
        )
        raw, signature = sign(
            manifest, self.vault.signing_key(org["id"], org["signing_key_sealed"])
        )
        await connection.execute(
            SQL["insert_snapshot"], org["id"], version, raw, signature, hashes, self.catalog_hash
        )
