"""A disk that outlives its writers: the part of pathlib and os that the journal uses."""

from types import SimpleNamespace
from typing import Any, Self


class Disk(dict[str, bytes]):
    """File name to content."""

    def path(self, name: str) -> "DiskPath":
        return DiskPath(self, name)


class DiskPath:
    def __init__(self, disk: Disk, name: str) -> None:
        self._disk, self._name = disk, name

    def with_suffix(self, suffix: str) -> "DiskPath":
        return DiskPath(self._disk, self._name + suffix)

    def with_name(self, name: str) -> "DiskPath":
        return DiskPath(self._disk, f"{self._name.rpartition('/')[0]}/{name}")

    def replace(self, target: "DiskPath") -> None:
        self._disk[target._name] = self._disk.pop(self._name)

    @property
    def parent(self) -> "DiskPath":
        return self

    def mkdir(self, **_: Any) -> None:
        pass

    def exists(self) -> bool:
        return self._name in self._disk

    def read_bytes(self) -> bytes:
        return self._disk[self._name]

    def stat(self) -> Any:
        return SimpleNamespace(st_size=len(self._disk[self._name]))

    def truncate(self, size: int) -> None:
        self._disk[self._name] = self._disk[self._name][:size]

    def open(self, mode: str) -> "DiskFile":
        if mode == "wb":
            self._disk[self._name] = b""
        return DiskFile(self._disk, self._name)


class DiskFile:
    def __init__(self, disk: Disk, name: str) -> None:
        self._disk, self._name = disk, name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write(self, data: bytes) -> None:
        self._disk[self._name] = self._disk.get(self._name, b"") + data

    def flush(self) -> None:
        pass

    def fileno(self) -> int:
        return 0


OS = SimpleNamespace(
    O_RDONLY=0,
    open=lambda *_: 0,
    close=lambda _: None,
    fsync=lambda _: None,
    truncate=lambda path, size: path.truncate(size),
)
"""In the place of `os` in the journal."""
