"""Growing an open hold: in Redis, then in Postgres, as a reservation is made."""

from spendra_sidecar.ledger.balances import Balances
from spendra_sidecar.ledger.books import Books, BooksUnavailableError
from spendra_sidecar.ledger.calls import BalancesUnavailableError, GenerationLost
from spendra_sidecar.ledger.generations import Generations
from spendra_sidecar.ledger.outages import Outages
from spendra_sidecar.ledger.words import (
    Exhausted,
    Frozen,
    Held,
    LedgerUnavailableError,
    Reservation,
)

_ENDED = "the reservation cannot be extended: it has ended, or is lost"
_ROUNDS = 3
"""A lost generation, then one that was raised meanwhile."""


class Extending:
    """Both writes are idempotent by the extension's number."""

    def __init__(
        self, balances: Balances, books: Books, generations: Generations, outages: Outages
    ) -> None:
        self._balances = balances
        self._books = books
        self._generations = generations
        self._outages = outages

    async def extend(
        self, reservation: Reservation, number: int, additional_nanousd: int
    ) -> Held | Exhausted | Frozen:
        """Raises LedgerUnavailableError; `Ledger.extend` says more."""
        for _ in range(_ROUNDS):
            seen = self._generations.current
            try:
                answer = await self._once(seen or "", reservation, number, additional_nanousd)
            except (BooksUnavailableError, BalancesUnavailableError) as error:
                raise self._outages.failed("an extension was not confirmed", error) from error
            if not isinstance(answer, GenerationLost):
                return answer
            await self._generations.recover(seen)
        msg = "the balances kept changing hands"
        raise LedgerUnavailableError(msg)

    async def _once(
        self, generation: str, reservation: Reservation, number: int, additional_nanousd: int
    ) -> Held | Exhausted | Frozen | GenerationLost:
        answer = await self._balances.extend(generation, reservation, number, additional_nanousd)
        if isinstance(answer, Exhausted | Frozen | GenerationLost):
            return answer
        if not isinstance(answer, Held):
            raise LedgerUnavailableError(_ENDED)
        current, extended = await self._books.extend(
            generation, reservation.id, number, additional_nanousd
        )
        if current != generation:
            return GenerationLost(generation)
        if not extended:
            raise LedgerUnavailableError(_ENDED)
        reservation.extend_to(number, additional_nanousd)
        return answer
