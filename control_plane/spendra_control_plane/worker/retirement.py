"""Retirement: months of the record that are no longer kept leave it, one transaction each."""

import asyncio
import logging
from collections.abc import Coroutine
from datetime import date
from typing import Any, NamedTuple

from spendra_control_plane.stores.postgres import Connection, StoreError, connect
from spendra_control_plane.stores.sql import statements

_SQL = statements("retirement")
_log = logging.getLogger(__name__)


class Keeping(NamedTuple):
    """For how many whole months past the current one; None: for ever."""

    events: int | None
    refusals: int | None


class Retirement:
    """Beside the rounds, on a connection of its own: a large month takes minutes."""

    def __init__(self, database_url: str, keeping: Keeping) -> None:
        self._database_url, self._keeping = database_url, keeping
        self._running: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Unless it is under way, or nothing is ever to go."""
        if any(self._keeping) and (self._running is None or self._running.done()):
            self._running = asyncio.create_task(_told(retire(self._database_url, self._keeping)))

    async def stop(self) -> None:
        """What is under way is given up as if it had not begun."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})


async def retire(database_url: str, keeping: Keeping) -> None:
    """Everything that is due. Raises one of StoreError; may be done twice, or beside another."""
    connection = await connect(database_url)
    try:
        if keeping.events is not None:
            for month in await _months(connection, "events_beyond", keeping.events):
                if not await _retire(connection, month):
                    break
        if keeping.refusals is not None:
            for month in await _months(connection, "refusals_beyond", keeping.refusals):
                await connection.fetchval(_SQL["drop_refusals"], month)
                _log.info("refusals of %s are no longer kept", f"{month:%Y-%m}")
    finally:
        await connection.close()


async def _months(connection: Connection, statement: str, months: int) -> list[date]:
    return [row["month"] for row in await connection.fetch(_SQL[statement], months)]


async def _retire(connection: Connection, month: date) -> bool:
    obstacle = await connection.fetchval(_SQL["retire"], month)
    if obstacle is not None:
        _log.warning("%s stays in the record for now: %s", f"{month:%Y-%m}", obstacle)
        return False
    _log.info("events and entries of %s are no longer kept", f"{month:%Y-%m}")
    return True


async def _told(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except StoreError as error:
        _log.warning("what is due to go stays for now: %s", str(error) or type(error).__name__)
