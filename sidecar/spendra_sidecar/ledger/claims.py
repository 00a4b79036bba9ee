"""Idempotency keys that another request has."""

from spendra_sidecar.ledger.books import Books, BooksUnavailableError
from spendra_sidecar.ledger.calls import Claimed
from spendra_sidecar.ledger.outages import Outages
from spendra_sidecar.ledger.words import Duplicate, LedgerUnavailableError, Reservation


class Claims:
    """Judges repeats. Redis refuses most of them; Postgres has the last word."""

    def __init__(self, books: Books, outages: Outages) -> None:
        self._books = books
        self._outages = outages

    async def judge(self, reservation: Reservation, found: Claimed) -> Duplicate | None:
        """None: nothing was done for the holder, so that its key may be taken over.

        After a rebuild Redis may show a repeat that is itself about to be refused.
        """
        durable = await self._durable_holder(reservation)
        for holder in (durable, found):
            duplicate = None if holder is None else await self._duplicate(reservation, holder)
            if duplicate is not None and duplicate.state != "free":
                return duplicate
        reservation.replaces = found.decision_id
        return None

    async def holder(self, reservation: Reservation) -> Duplicate:
        """Who has the key of a reservation that Postgres did not write, though Redis held it.

        Raises LedgerUnavailableError when nobody has: then it was given up.
        """
        durable = await self._durable_holder(reservation)
        if durable is None:
            msg = "the reservation was given up"
            raise LedgerUnavailableError(msg)
        return await self._duplicate(reservation, durable)

    async def _durable_holder(self, reservation: Reservation) -> Claimed | None:
        """The other decision that has the key in Postgres."""
        if reservation.claim is None:
            return None
        try:
            found = await self._books.claim_holder(reservation.claim)
        except BooksUnavailableError as error:
            raise self._outages.failed("a repeat could not be judged", error) from error
        return found if found and found.decision_id != reservation.decision_id else None

    async def _duplicate(self, reservation: Reservation, holder: Claimed) -> Duplicate:
        try:
            state, cost_nanousd = await self._books.decision_state(holder.decision_id)
        except BooksUnavailableError as error:
            raise self._outages.failed("a repeat could not be judged", error) from error
        claim = reservation.claim
        same_body = claim is not None and claim.body_digest == holder.body_digest
        return Duplicate(holder.decision_id, state, cost_nanousd, same_body)
