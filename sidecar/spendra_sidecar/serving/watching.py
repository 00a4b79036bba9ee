"""A stream that nothing limits: its hold grows with it, or it ends (`unlimited_output: watch`).

Tokens are taken as half the bytes that were delivered, which few texts exceed; what the provider
reports at the end is what is booked.
"""

from typing import Final

from spendra._hot import Decision, Exchange
from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.ledger.words import Exhausted, Held, LedgerUnavailableError, Reservation
from spendra_sidecar.serving import budget_refusals
from spendra_sidecar.serving.refusals import Refusal

_BYTES_A_TOKEN: Final = 2


class Watch:
    """Of one stream. The hold is grown when a quarter of it is left, before it is needed."""

    def __init__(self, ledger: Ledger, reservation: Reservation, decision: Decision) -> None:
        self._ledger = ledger
        self._reservation = reservation
        self._decision = decision
        self._number = 0
        self._step_tokens = max(decision.output_cap or 1, 1)
        self._step_nanousd = decision.reserved_nanousd - decision.reserved_input_nanousd
        self._next_bytes = self._step_tokens * _BYTES_A_TOKEN * 3 // 4

    async def look(self, exchange: Exchange) -> Refusal | None:
        """Why the stream has to end; None: it may go on."""
        while exchange.delivered_bytes() >= self._next_bytes:
            refusal = await self._grow()
            if refusal is not None:
                return refusal
            self._next_bytes += self._step_tokens * _BYTES_A_TOKEN
        return None

    async def _grow(self) -> Refusal | None:
        self._number += 1
        try:
            verdict = await self._ledger.extend(self._reservation, self._number, self._step_nanousd)
        except LedgerUnavailableError as error:
            msg = f"The hold of this stream could not grow ({error}), so it ends here."
            return Refusal("ledger_unavailable", msg)
        if isinstance(verdict, Held):
            return None
        if isinstance(verdict, Exhausted):
            return budget_refusals.ended(verdict, self._step_nanousd)
        return budget_refusals.frozen(verdict)
