"""What the simulated provider keeps between requests: files, batches, responses, caches."""

from collections import OrderedDict
from typing import Any, Final

_MAX_BYTES: Final = 256 * 1024 * 1024
_MAX_RECORDS: Final = 10_000
Record = dict[str, Any]


class Store:
    """Records by id, with the bytes that belong to them; the oldest go when there are too many."""

    def __init__(self) -> None:
        self._records: OrderedDict[str, tuple[Record, bytes]] = OrderedDict()
        self._bytes = 0

    def put(self, name: str, record: Record, content: bytes = b"") -> Record:
        self.remove(name)
        self._records[name] = (record, content)
        self._bytes += len(content)
        while self._bytes > _MAX_BYTES or len(self._records) > _MAX_RECORDS:
            self.remove(next(iter(self._records)))
        return record

    def get(self, name: str) -> Record | None:
        found = self._records.get(name)
        return found and found[0]

    def content(self, name: str) -> bytes | None:
        found = self._records.get(name)
        return found and found[1]

    def remove(self, name: str) -> bool:
        """False where there was none."""
        found = self._records.pop(name, None)
        self._bytes -= len(found[1]) if found else 0
        return found is not None

    def all(self, prefix: str) -> list[Record]:
        return [record for name, (record, _) in self._records.items() if name.startswith(prefix)]
