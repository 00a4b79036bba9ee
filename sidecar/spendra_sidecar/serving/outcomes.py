"""How a request ended, decided from what is known; nothing here does anything.

`voided` only when it is certain that nothing reached the provider. Whatever may have left is
posted at what is known, and says how it is known (`docs/ledger.md` prints the rules).
"""

from dataclasses import dataclass

from spendra._hot import (
    Cost,
    Exchange,
    HotError,
    Metered,
    PriceBook,
    UpstreamError,
    Usage,
    count_chat_tokens,
)
from spendra_sidecar.ledger.words import Outcome, Reservation, Tokens
from spendra_sidecar.serving.refusals import Refusal

_OK = 200
_FIRST_ERROR_STATUS = 400
BACKGROUND = "background"
"""The reason of an outcome that a later answer may replace, as long as it is not settled."""
_TIER_HEADERS = ("azureai-processed-tier", "x-gemini-service-tier")


@dataclass(slots=True, eq=False)
class Attempt:
    """One request to a provider, as far as it went."""

    provider: str
    requested_model: str
    """Its name in the price catalog."""
    body: bytes
    estimated_input_tokens: int
    prices: PriceBook
    reserved_ms: int
    stream: bool
    reservation: Reservation
    has_ceiling: bool = False
    """What it costs is not known: an operator's ceiling is booked."""
    background: bool = False
    """The answer may come later: until it shows usage, nothing is known."""
    is_kept: bool = False
    """A later answer ends it; here it is over."""
    is_batch: bool = False
    """Its answer is about the batch; what it costs shows in its results."""
    characters: int = 0
    """Of the text that was to be spoken."""
    web_searches: int = 0
    """That are billed although the answer does not tell of them."""
    exchange: Exchange | None = None
    status: int | None = None
    error: UpstreamError | None = None
    hung_up: bool = False
    """The caller left before the answer ended."""
    ended_by: Refusal | None = None
    """This sidecar ended the answer, because its hold could not grow."""
    stopped: bool = False
    """This sidecar ended the answer, because it shuts down."""
    end: Outcome | None = None


def conclude(attempt: Attempt) -> Outcome:
    """The outcome of an attempt, whole, cut, refused or never sent. Decided once."""
    if attempt.end is None:
        attempt.end = _decide(attempt)
    return attempt.end


def _decide(attempt: Attempt) -> Outcome:  # noqa: PLR0911 - the rules, first match wins
    exchange, error = attempt.exchange, attempt.error
    if exchange is None:
        return _voided(attempt, "not_sent")
    if error is not None and not error.may_have_left:
        return _voided(attempt, "upstream_unreachable")
    if attempt.status is None:
        return _worst_case(attempt, _why_short(attempt))
    metered = exchange.metered()
    if attempt.has_ceiling:
        return _at_ceiling(attempt, metered)
    if metered.usage is not None or metered.stated_cost_nanousd is not None:
        return _reported(attempt, metered, metered.usage or Usage())
    if attempt.status >= _FIRST_ERROR_STATUS:
        return _free(attempt, "upstream_error")
    if attempt.background:
        return _worst_case(attempt, BACKGROUND)
    if attempt.characters:
        return _spoken(attempt, metered)
    if attempt.stream or metered.finished:
        return _counted(attempt, metered)
    return _worst_case(attempt, _why_short(attempt))


def _reported(attempt: Attempt, metered: Metered, usage: Usage) -> Outcome:
    if metered.finished:
        return _posted(attempt, metered, usage, "reported", "completed")
    return _reported_so_far(attempt, metered, usage)


def _reported_so_far(attempt: Attempt, metered: Metered, usage: Usage) -> Outcome:
    """Usage that was told before the end is a beginning: what was delivered may be more."""
    delivered = metered.delivered_tokens(metered.model or attempt.requested_model)
    confidence = "reported"
    if delivered > usage.output_tokens:
        usage, confidence = usage.with_output(delivered), "counted"
    return _posted(attempt, metered, usage, confidence, "cut")


def resumed(reservation: Reservation, prices: PriceBook) -> Attempt:
    """An attempt of which a later answer is heard, perhaps by another sidecar than sent it."""
    return Attempt(
        provider=reservation.provider,
        requested_model=reservation.model,
        body=b"",
        estimated_input_tokens=0,
        prices=prices,
        reserved_ms=int(reservation.reserved_at.timestamp() * 1000),
        stream=False,
        reservation=reservation,
        status=_OK,
    )


def conclude_later(attempt: Attempt, metered: Metered) -> Outcome | None:
    """What a later answer makes of an attempt that went on in the background; None: nothing yet."""
    if metered.usage is not None:
        return _reported(attempt, metered, metered.usage)
    return _free(attempt, "upstream_error") if metered.failed else None


def conclude_stated(attempt: Attempt, cost_nanousd: int, usage: Usage) -> Outcome:
    """What the provider's own record says of an attempt that was cut."""
    end = _flat(attempt, "posted", "cut", cost_nanousd, "reported")
    return end._replace(tokens=tokens_of(usage), price_version=f"stated:{attempt.provider}")


def _at_ceiling(attempt: Attempt, metered: Metered) -> Outcome:
    """An operator let it through at a ceiling: the ceiling is what it is booked at."""
    if (attempt.status or 0) >= _FIRST_ERROR_STATUS:
        return _free(attempt, "upstream_error")
    return _worst_case(attempt, "completed" if metered.finished else _why_short(attempt))


def _spoken(attempt: Attempt, metered: Metered) -> Outcome:
    """Speech says no usage; where characters are billed, those that were sent are known."""
    usage = Usage(billable_characters=attempt.characters)
    cost = _price(attempt, attempt.requested_model, usage, metered.service_tier)
    if cost is None or cost.unpriced or not cost.nanousd:
        return _worst_case(attempt, "usage_missing")
    return _posted(attempt, metered, usage, "counted", "completed")


def _counted(attempt: Attempt, metered: Metered) -> Outcome:
    """No usage came: price what was sent and what was delivered, counted."""
    model = metered.model or attempt.requested_model
    delivered = metered.delivered_tokens(model)
    if metered.failed and delivered == 0:
        return _free(attempt, "upstream_error")
    confidence = "counted"
    try:
        sent = count_chat_tokens(attempt.body, model)
    except HotError:
        sent, confidence = attempt.estimated_input_tokens, "estimated"
    usage = Usage(input_tokens=sent, output_tokens=delivered)
    reason = "usage_missing" if metered.finished else _why_short(attempt)
    return _posted(attempt, metered, usage, confidence, reason)


def _why_short(attempt: Attempt) -> str:
    """Why an answer is not whole."""
    if attempt.ended_by is not None:
        return attempt.ended_by.code
    if attempt.hung_up:
        return "caller_left"
    if attempt.stopped:
        return "shutting_down"
    return attempt.error.kind if attempt.error is not None else "cut"


def _posted(
    attempt: Attempt, metered: Metered, usage: Usage, confidence: str, reason: str
) -> Outcome:
    if attempt.web_searches > usage.web_searches:
        usage = usage.with_web_searches(attempt.web_searches)
    model = metered.model or attempt.requested_model
    stated = metered.stated_cost_nanousd
    cost = None
    if stated is None or not metered.finished:
        # A stated cost grows with the answer too, or comes only at its end.
        cost = _price(attempt, model, usage, _tier(attempt, metered))
        if cost is None or cost.unpriced:
            return _worst_case(attempt, "unpriced_answer")
    cost_nanousd, priced_by = stated or 0, f"stated:{attempt.provider}"
    if cost is not None and cost.nanousd >= cost_nanousd:
        cost_nanousd, priced_by = cost.nanousd, cost.price_version
    return Outcome(
        outcome="posted",
        reason=reason,
        cost_nanousd=cost_nanousd,
        model=model,
        status=attempt.status,
        confidence=confidence,
        tokens=tokens_of(usage),
        price_version=priced_by,
    )


def _tier(attempt: Attempt, metered: Metered) -> str | None:
    """The tier that served it: the body's word, else a header's."""
    if metered.service_tier is not None or attempt.exchange is None:
        return metered.service_tier
    headers = dict(attempt.exchange.headers)
    return next((headers[name] for name in _TIER_HEADERS if name in headers), None)


def _price(attempt: Attempt, model: str, usage: Usage, tier: str | None) -> Cost | None:
    """By the model that answered; by the requested one where the catalog lacks the former."""
    for name in dict.fromkeys((model, attempt.requested_model)):
        cost = attempt.prices.cost(
            attempt.provider, name, usage, service_tier=tier, at_ms=attempt.reserved_ms
        )
        if cost is not None:
            return cost
    return None


def _worst_case(attempt: Attempt, reason: str) -> Outcome:
    return _flat(attempt, "posted", reason, attempt.reservation.amount_nanousd, "worst_case")


def _free(attempt: Attempt, reason: str) -> Outcome:
    """The provider refused or failed before any output: it bills nothing for that."""
    return _flat(attempt, "posted", reason, 0, "reported")


def _voided(attempt: Attempt, reason: str) -> Outcome:
    return _flat(attempt, "voided", reason, 0, "none")


def _flat(attempt: Attempt, outcome: str, reason: str, cost: int, confidence: str) -> Outcome:
    return Outcome(
        outcome=outcome,
        reason=reason,
        cost_nanousd=cost,
        model=attempt.requested_model,
        status=attempt.status,
        confidence=confidence,
        tokens=Tokens(),
        price_version=attempt.reservation.price_version,
    )


def tokens_of(usage: Usage) -> Tokens:
    return Tokens(
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
    )
