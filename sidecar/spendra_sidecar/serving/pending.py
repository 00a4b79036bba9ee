"""Requests that the provider goes on with after it answered: settled by a later answer.

They are kept in Postgres, so that any sidecar may hear of them, whatever became of the one that
asked. What is not heard of in time is booked by the worker, at its worst case.
"""

from typing import Final

import msgspec

from spendra._hot import Exchange, PriceBook
from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.ledger.words import Outcome
from spendra_sidecar.ledger.words import Pending as Kept
from spendra_sidecar.serving.batches.batches import Batches
from spendra_sidecar.serving.outcomes import Attempt, conclude_later, resumed
from spendra_sidecar.snapshots.routes import Route

_RESPONSE_S: Final = 24 * 3600
_BATCH_S: Final = 3 * 24 * 3600
"""Providers give up after a day; then somebody has to ask."""


class _Named(msgspec.Struct):
    id: str


class Pending:
    """By provider and the id that it gave. Each is settled once."""

    def __init__(self, ledger: Ledger, batches: Batches) -> None:
        self._ledger = ledger
        self._batches = batches

    async def keep(self, attempt: Attempt, answer: bytes) -> bool:
        """Before the caller has the answer, who might ask at once. False: not to be waited for."""
        kind, seconds = ("batch", _BATCH_S) if attempt.is_batch else ("response", _RESPONSE_S)
        identity = _identity(answer)
        return bool(identity) and await self._ledger.keep_pending(
            attempt.reservation, identity, kind, seconds
        )

    async def hear(
        self, route: Route, identity: str, exchange: Exchange, prices: PriceBook
    ) -> None:
        """A later answer about it."""
        kept = await self._ledger.find_pending(route.provider, identity)
        end = None if kept is None else await self._end(route, kept, exchange, prices)
        if kept is not None and end is not None:
            self._ledger.settle(kept.reservation, end)

    async def _end(
        self, route: Route, kept: Kept, exchange: Exchange, prices: PriceBook
    ) -> Outcome | None:
        if kept.kind == "batch":
            answer = exchange.body or b""
            return await self._batches.outcome(route, kept.reservation, prices, answer)
        return conclude_later(resumed(kept.reservation, prices), exchange.metered())


def _identity(answer: bytes) -> str:
    try:
        return msgspec.json.decode(answer, type=_Named).id
    except msgspec.DecodeError:
        return ""
