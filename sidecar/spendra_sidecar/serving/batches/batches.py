"""Reads the requests of a batch before it leaves, and its results when it has ended."""

import asyncio
import logging

from spendra._hot import PriceBook
from spendra_sidecar.ledger.words import Outcome, Reservation
from spendra_sidecar.serving.batches import asked
from spendra_sidecar.serving.batches.asked import Part
from spendra_sidecar.serving.batches.fetching import FetchError, Fetching
from spendra_sidecar.serving.batches.results import Sum, where
from spendra_sidecar.serving.call import Call, Choice
from spendra_sidecar.serving.refusals import Refusal
from spendra_sidecar.snapshots.routes import Route

_log = logging.getLogger(__name__)
_AT_ONCE = 2
"""Input files that are read together."""


class Batches:
    def __init__(self, fetching: Fetching) -> None:
        self._fetching = fetching
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def requests(self, call: Call, choice: Choice) -> list[Part]:
        """Raises Refusal where they cannot be read."""
        file_id = asked.file_of(choice.operation, call.body)
        if file_id is None:
            return asked.inline(call.body)
        async with self._turns:
            try:
                content = await self._fetching.whole(choice.route, "files_content", {"id": file_id})
            except FetchError as error:
                msg = f"The input file {file_id!r} of the batch cannot be read: {error}."
                raise Refusal("batch_unreadable", msg) from error
            return await asyncio.to_thread(asked.lines, content)

    async def outcome(
        self, route: Route, reservation: Reservation, prices: PriceBook, answer: bytes
    ) -> Outcome | None:
        """By an answer about the batch; None: it goes on, or its results cannot be read now."""
        found = where(answer)
        if found is False:
            return None
        total = Sum(reservation, prices, route.row.meter)
        if found is not True:
            try:
                async for line in self._fetching.lines(route, found.operation, found.values):
                    total.add(line)
            except FetchError as error:
                _log.warning("the results of %s wait: %s", reservation.id, error)
                return None
        return total.outcome()
