"""Receives snapshots from the control plane, verifies them, and puts them in force."""

import asyncio
import contextlib
import logging
import time

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import DecodeError

from spendra import sealing
from spendra import snapshot as wire
from spendra_sidecar.config import Config
from spendra_sidecar.metrics import Metrics
from spendra_sidecar.snapshots import live
from spendra_sidecar.snapshots.keeper import Keeper

_log = logging.getLogger(__name__)
_SILENCE_S = 10.0
"""The control plane comments every 2 s; longer silence than this is a dead connection."""
_RECONNECT_S = 0.5
_HEARTBEAT_S = 5.0
_TOUCH_S = 30.0


class Receiver:
    """Holds the snapshot in force; `live` is None until there is one."""

    def __init__(self, config: Config, metrics: Metrics) -> None:
        self._config = config
        self._metrics = metrics
        self._keeper = Keeper(config.state_dir, config.token)
        self._public_key = Ed25519PublicKey.from_public_bytes(config.snapshot_public_key)
        self._secrets_key = sealing.derive_key(config.token.encode(), wire.SECRETS_CONTEXT)
        self._changed = asyncio.Condition()
        self._contact = float("-inf")
        self._touched = 0.0
        self._acknowledged: tuple[int, str, str] = (0, "applied", "")
        self._unkept: wire.Snapshot | None = None
        self._heard = asyncio.Event()
        self._http = httpx.AsyncClient(
            base_url=config.control_plane_url,
            headers={"authorization": f"Bearer {config.token}"},
            timeout=httpx.Timeout(5.0, read=_SILENCE_S),
        )
        self.live: live.Live | None = None

    def start_from_disk(self) -> None:
        """The last good snapshot, if there is one; a damaged file is reported and left alone."""
        try:
            kept = self._keeper.read()
            if kept is None:
                return
            self.live = live.load(kept, None)
            self._contact = time.monotonic() - self._keeper.age_s()
            self._metrics.snapshot_version.set(self.live.version)
        except (sealing.SealError, wire.SnapshotError, DecodeError, OSError) as error:
            _log.warning("the snapshot on disk cannot be used: %s", error)

    def staleness_s(self) -> float:
        """Seconds since a control plane last confirmed the snapshot in force."""
        return time.monotonic() - self._contact

    def usable(self) -> live.Live | None:
        """The snapshot in force, unless it is older than the bound."""
        return self.live if self.staleness_s() <= self._config.max_staleness_s else None

    async def at_least(self, version: int, timeout_s: float) -> live.Live | None:
        """Wait for a snapshot of this version or newer. None: it did not come in time."""
        async with self._changed:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait_for(lambda: self._version() >= version)
            except TimeoutError:
                return None
        return self.live

    async def run(self) -> None:
        """Follow the control plane, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._follow_up())

    async def close(self) -> None:
        await self._http.aclose()

    def _version(self) -> int:
        return 0 if self.live is None else self.live.version

    async def _follow(self) -> None:
        quiet = False
        while True:
            try:
                await self._stream()
                quiet = False
            except (httpx.HTTPError, wire.SnapshotError) as error:
                if not quiet:
                    _log.warning(
                        "no control plane, trying again: %s", str(error) or type(error).__name__
                    )
                quiet = True
            await asyncio.sleep(_RECONNECT_S)

    async def _stream(self) -> None:
        have = "" if self.live is None else wire.have(self.live.source.manifest)
        query = {"sidecar_id": self._config.sidecar_id, "have": have}
        async with self._http.stream("GET", "/sidecar/v1/snapshots", params=query) as answer:
            if answer.status_code != httpx.codes.OK:
                msg = f"the control plane answered {answer.status_code} to this sidecar's token"
                raise wire.SnapshotError(msg)
            async for line in answer.aiter_lines():
                self._note_contact()
                if line.startswith("data:"):
                    await self._receive(line[5:].strip().encode())

    def _note_contact(self) -> None:
        self._contact = time.monotonic()
        if self._contact - self._touched > _TOUCH_S:
            self._touched = self._contact
            self._keeper.touch()

    async def _receive(self, data: bytes) -> None:
        """Swap whole, or refuse and keep the last good one."""
        version = 0
        try:
            manifest, snapshot = self._open(data)
            version = manifest.version
            if version > self._version():
                await self._swap(snapshot)
            self._acknowledged = (version, "applied", "")
        except (wire.SnapshotError, sealing.SealError) as error:
            _log.error(
                "refused snapshot %s, keeping %d: %s", version or "?", self._version(), error
            )
            self._metrics.snapshots.labels("refused").inc()
            self._acknowledged = (version, "refused", str(error))
        self._heard.set()

    def _open(self, data: bytes) -> tuple[wire.Manifest, wire.Snapshot]:
        envelope = wire.decode(data, wire.Envelope)
        raw = wire.from_text(envelope.manifest)
        manifest = wire.open_manifest(raw, wire.from_text(envelope.signature), self._public_key)
        if manifest.org_id != self._config.org_id:
            msg = f"the snapshot is of {manifest.org_id}, this sidecar serves {self._config.org_id}"
            raise wire.SnapshotError(msg)
        segments = {
            name: self._segment(name, digest, envelope)
            for name, digest in manifest.segments.items()
        }
        return manifest, wire.Snapshot(manifest=manifest, segments=segments)

    def _segment(self, name: str, digest: str, envelope: wire.Envelope) -> bytes:
        text = envelope.segments.get(digest)
        if text is None:
            return self._known(name, digest)
        data = wire.from_text(text)
        if name == "secrets":
            data = sealing.unseal(self._secrets_key, data, wire.SECRETS_CONTEXT)
        if wire.segment_hash(data) != digest:
            msg = f"the snapshot's {name} segment is not the one its manifest names"
            raise wire.SnapshotError(msg)
        return data

    def _known(self, name: str, digest: str) -> bytes:
        if self.live is None or not self.live.has(name, digest):
            msg = f"the snapshot came without its {name} segment, which is not known here"
            raise wire.SnapshotError(msg)
        return self.live.source.segments[name]

    async def _swap(self, snapshot: wire.Snapshot) -> None:
        loaded = live.load(snapshot, self.live)
        async with self._changed:
            self.live = loaded
            self._changed.notify_all()
        self._metrics.snapshots.labels("applied").inc()
        self._metrics.snapshot_version.set(loaded.version)
        self._unkept = snapshot
        _log.info("snapshot %d is in force", loaded.version)

    async def _follow_up(self) -> None:
        """Keep on disk and acknowledge what came last, beside the stream: the next snapshot, which
        may be a revocation, waits for neither. Silence is acknowledged too, as a heartbeat."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_HEARTBEAT_S):
                    await self._heard.wait()
            self._heard.clear()
            unkept, self._unkept = self._unkept, None
            if unkept is not None:
                await asyncio.to_thread(self._keeper.write, unkept)
            await self._acknowledge()

    async def _acknowledge(self) -> None:
        version, state, error = self._acknowledged
        body = {
            "sidecar_id": self._config.sidecar_id,
            "version": version or self._version(),
            "state": state,
            "error": error or None,
        }
        try:
            await self._http.post("/sidecar/v1/acknowledgements", json=body)
        except httpx.HTTPError:
            _log.debug("acknowledgement not delivered", exc_info=True)
