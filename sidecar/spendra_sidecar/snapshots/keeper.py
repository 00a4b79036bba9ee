"""The snapshot on disk, sealed under the sidecar's token: a start needs no control plane."""

import os
import time
from pathlib import Path

import msgspec

from spendra import sealing
from spendra.snapshot import Snapshot

_PURPOSE = b"spendra snapshot at rest v1"
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Snapshot)


class Keeper:
    """One file, replaced whole. Its modification time is the last contact with a control plane."""

    def __init__(self, state_dir: Path, token: str) -> None:
        self._path = state_dir / "snapshot.sealed"
        self._key = sealing.derive_key(token.encode(), _PURPOSE)
        state_dir.mkdir(parents=True, exist_ok=True)

    def read(self) -> Snapshot | None:
        """None: there is none yet. SealError or msgspec.DecodeError: it cannot be used."""
        if not self._path.exists():
            return None
        return _DECODER.decode(sealing.unseal(self._key, self._path.read_bytes(), _PURPOSE))

    def write(self, snapshot: Snapshot) -> None:
        sealed = sealing.seal(self._key, _ENCODER.encode(snapshot), _PURPOSE)
        draft = self._path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(sealed)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)

    def touch(self) -> None:
        """Note that a control plane confirmed this snapshot just now."""
        if self._path.exists():
            os.utime(self._path)

    def age_s(self) -> float:
        """Seconds since a control plane last confirmed what is on disk."""
        return time.time() - self._path.stat().st_mtime
