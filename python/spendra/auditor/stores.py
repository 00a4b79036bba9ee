"""The two stores as the auditor sees them: whoever calls it brings the connections."""

import re
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


class Row(Protocol):
    """One row, by column name."""

    def __getitem__(self, column: str) -> Any: ...
    def items(self) -> Any: ...


class Database(Protocol):
    """The part of an asyncpg connection that is used."""

    async def fetch(self, query: str, *args: object) -> list[Any]: ...
    async def fetchval(self, query: str, *args: object) -> Any: ...
    def transaction(
        self, *, isolation: Any, readonly: bool
    ) -> AbstractAsyncContextManager[Any]: ...


class Redis(Protocol):
    """The part of a redis.asyncio client, single server or Cluster, that is used."""

    def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> Awaitable[Any] | Any: ...


def snapshot(database: Database) -> AbstractAsyncContextManager[Any]:
    """Everything read inside is of one instant, and nothing is changed."""
    return database.transaction(isolation="repeatable_read", readonly=True)


@cache
def statements(name: str) -> dict[str, str]:
    """The statements of `<name>.sql` beside this file, by name."""
    _, *parts = _NAME.split(text(f"{name}.sql"))
    return {key: sql.strip() for key, sql in zip(parts[::2], parts[1::2], strict=True)}


@cache
def text(file_name: str) -> str:
    return files("spendra.auditor").joinpath(file_name).read_text("utf-8")
