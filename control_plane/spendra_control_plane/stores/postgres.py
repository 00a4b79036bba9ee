"""Postgres: the pool, the types that the rest of the package sees, and the listening connection."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, cast

import asyncpg
import msgspec

from spendra_control_plane.stores.acting import acting
from spendra_control_plane.stores.sql import statements

CONNECT_TIMEOUT_S = 5
COMMAND_TIMEOUT_S = 30
_ACT = statements("audit")["act"]


class Row(Protocol):
    """One row, by column name."""

    def __getitem__(self, column: str) -> Any: ...
    def keys(self) -> Iterator[str]: ...
    def items(self) -> Iterable[tuple[str, Any]]: ...


class Connection(Protocol):
    """The part of a connection that this package uses. Placeholders are `$1`, `$2`, ..."""

    async def fetch(self, query: str, *args: object) -> list[Row]: ...
    async def fetchrow(self, query: str, *args: object) -> Row | None: ...
    async def fetchval(self, query: str, *args: object) -> Any: ...
    async def execute(self, query: str, *args: object) -> str: ...
    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False
    ) -> AbstractAsyncContextManager[object]: ...
    async def close(self) -> None: ...


class Pool(Protocol):
    """Connections to share; the pool's own methods use one for a single statement."""

    def acquire(self) -> AbstractAsyncContextManager[Connection]: ...
    async def fetch(self, query: str, *args: object) -> list[Row]: ...
    async def fetchrow(self, query: str, *args: object) -> Row | None: ...
    async def fetchval(self, query: str, *args: object) -> Any: ...
    async def execute(self, query: str, *args: object) -> str: ...
    async def close(self) -> None: ...
    def terminate(self) -> None: ...


StoreError = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What a statement can raise when Postgres is away or refuses; to be used in `except`."""

UniqueViolation: type[Exception] = asyncpg.UniqueViolationError


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """Its role too is given up when it goes back to the pool."""

    def get_reset_query(self) -> str:
        return f"{super().get_reset_query()}\nRESET ROLE;"


async def open_pool(database_url: str, *, largest: int = 10) -> Pool:
    """Raises one of StoreError when Postgres does not answer within CONNECT_TIMEOUT_S."""
    pool = await asyncpg.create_pool(
        database_url,
        min_size=1,
        max_size=largest,
        init=_prepare,
        setup=_tell,
        connection_class=_Connection,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
    )
    return cast("Pool", pool)


async def open_bare_pool(database_url: str, *, largest: int) -> Any:
    """An asyncpg pool for a library that brings statements and codecs of its own."""
    return await asyncpg.create_pool(
        database_url,
        min_size=1,
        max_size=largest,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
    )


async def connect(database_url: str) -> Connection:
    """One connection of its own. Raises one of StoreError."""
    connection = await asyncpg.connect(database_url, timeout=CONNECT_TIMEOUT_S)
    await _prepare(connection)
    return cast("Connection", connection)


async def listen(
    database_url: str, channel: str, heard: Callable[[str], None], lost: Callable[[], None]
) -> Connection:
    """A connection that calls `heard` with each payload, and `lost` once when it ends."""
    connection = await asyncpg.connect(database_url, timeout=CONNECT_TIMEOUT_S)
    connection.add_termination_listener(lambda _connection: lost())
    await connection.add_listener(channel, lambda *notice: heard(notice[3]))
    return cast("Connection", connection)


async def _tell(connection: Any) -> None:
    """The pool resets it when the connection comes back."""
    who = acting()
    if who is not None:
        said = (who.actor, who.token_id, who.request_id, who.reason, who.org_id)
        await connection.fetchrow(_ACT, *said)


async def _prepare(connection: Any) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: msgspec.json.encode(value).decode(),
        decoder=msgspec.json.decode,
    )
