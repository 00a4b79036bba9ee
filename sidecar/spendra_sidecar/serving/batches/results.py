"""What a batch came to, by its results: one JSON object in each line. Rules only."""

from operator import add
from typing import Final, NamedTuple

import msgspec

from spendra._hot import Cost, Meter, PriceBook, Usage
from spendra_sidecar.ledger.words import Outcome, Reservation, Tokens
from spendra_sidecar.serving.batches.judged import TIER
from spendra_sidecar.serving.outcomes import tokens_of

_ENDED: Final = frozenset(("completed", "failed", "expired", "cancelled"))
_OK: Final = 200


class Where(NamedTuple):
    """The operation that answers with the results, and the values of its path."""

    operation: str
    values: dict[str, str]


class _Batch(msgspec.Struct):
    """OpenAI's and Anthropic's."""

    id: str
    status: str = ""
    output_file_id: str | None = None
    processing_status: str = ""
    results_url: str | None = None


class _Response(msgspec.Struct):
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Result(msgspec.Struct):
    message: msgspec.Raw = msgspec.Raw(b"null")


class _Line(msgspec.Struct):
    """OpenAI's `response`, Anthropic's `result`."""

    response: _Response | None = None
    result: _Result | None = None


def where(answer: bytes) -> Where | bool:
    """Where the results are. False: it goes on; True: it has ended without any."""
    try:
        batch = msgspec.json.decode(answer, type=_Batch)
    except msgspec.DecodeError:
        return False
    if batch.processing_status == "ended":
        return Where("messages_batches_results", {"id": batch.id})
    if batch.status not in _ENDED:
        return False
    return Where("files_content", {"id": batch.output_file_id}) if batch.output_file_id else True


def led_here(answer: bytes, url: str) -> bytes:
    """Anthropic's answer says where its results are; its SDK asks there, and must ask here."""
    try:
        theirs = msgspec.json.decode(answer, type=_Batch).results_url
    except msgspec.DecodeError:
        return answer
    return (
        answer.replace(msgspec.json.encode(theirs), msgspec.json.encode(url)) if theirs else answer
    )


class Sum:
    """Adds up results, each at the price of a batch for the model that answered."""

    def __init__(self, reservation: Reservation, prices: PriceBook, dialect: str) -> None:
        self._reservation, self._prices, self._dialect = reservation, prices, dialect
        self._reserved_ms = int(reservation.reserved_at.timestamp() * 1000)
        self._cost_nanousd = 0
        self._tokens = Tokens()
        self._price_version = reservation.price_version
        self._is_priced = True

    def add(self, text: bytes) -> None:
        """A line. One that says no usage cost nothing: it failed, or was never asked."""
        try:
            line = msgspec.json.decode(text, type=_Line)
        except msgspec.DecodeError:
            self._is_priced = False
            return
        answered = line.response.body if line.response else None
        body = answered or (line.result.message if line.result else b"null")
        meter = Meter(self._dialect, streaming=False)
        meter.feed(bytes(body))
        metered = meter.finish()
        if metered.usage is not None:
            self._count(metered.usage, metered.model or self._reservation.model)

    def outcome(self) -> Outcome:
        """Its worst case where a result has no price."""
        if not self._is_priced:
            return self._end("unpriced_answer", self._reservation.amount_nanousd, "worst_case")
        return self._end("completed", self._cost_nanousd, "reported")

    def _count(self, usage: Usage, model: str) -> None:
        cost = self._price(usage, model)
        if cost is None or cost.unpriced:
            self._is_priced = False
            return
        self._cost_nanousd += cost.nanousd
        self._price_version = cost.price_version
        self._tokens = Tokens(*map(add, self._tokens, tokens_of(usage)))

    def _price(self, usage: Usage, model: str) -> Cost | None:
        """By the model that answered, else the requested one; at the standard tier, which is
        dearer, where a batch has no price of its own."""
        for name in dict.fromkeys((model, self._reservation.model)):
            for tier in (TIER, None):
                cost = self._prices.cost(
                    self._reservation.provider, name, usage, service_tier=tier,
                    at_ms=self._reserved_ms,
                )  # fmt: skip
                if cost is not None:
                    return cost
        return None

    def _end(self, reason: str, cost_nanousd: int, confidence: str) -> Outcome:
        return Outcome(
            outcome="posted",
            reason=reason,
            cost_nanousd=cost_nanousd,
            model=self._reservation.model,
            status=_OK,
            confidence=confidence,
            tokens=self._tokens,
            price_version=self._price_version,
        )
