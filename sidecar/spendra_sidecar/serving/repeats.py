"""Requests that may be repeats: idempotency keys, and retries that SDKs make by themselves."""

import hashlib
import hmac
from collections import OrderedDict
from typing import NamedTuple
from uuid import UUID

from spendra.money import nanousd_to_usd
from spendra_sidecar.ledger.words import Claim, Duplicate
from spendra_sidecar.serving.callers import Headers
from spendra_sidecar.serving.refusals import Refusal

_LONGEST_KEY = 255
_MOST_RETRIES = 32_767
_REMEMBERED = 4096


class Repeat(NamedTuple):
    """What a request says of repeating another."""

    claim: Claim | None
    retry_count: int
    """`x-stainless-retry-count`, as OpenAI's and Anthropic's SDKs send it with each try."""
    retry_of: UUID | None


NO_REPEAT = Repeat(None, 0, None)


def claim(headers: Headers, key_id: str, body: bytes) -> Claim | None:
    """The caller's `Idempotency-Key`, as digests; it is one Spendra key's own.

    The body's digest is keyed with it: it is not stored, so that no text can be guessed from what
    is. Refusal for a key that is longer than 255 characters.
    """
    key = headers.get("idempotency-key")
    if not key:
        return None
    if len(key) > _LONGEST_KEY:
        msg = f"An Idempotency-Key has at most {_LONGEST_KEY} characters; use a UUID."
        raise Refusal("header_invalid", msg)
    own = hashlib.sha256(f"{key_id}\0{key}".encode()).hexdigest()
    return Claim(own, hmac.digest(key.encode(), body, "sha256").hex())


def refused(duplicate: Duplicate) -> Refusal:
    """409 or 422, naming the request that has the key."""
    details = {"duplicate_of": str(duplicate.decision_id)}
    if not duplicate.same_body:
        msg = "This Idempotency-Key was used with another body; use a new key for a new request."
        return Refusal("idempotency_key_reused", msg, details)
    if duplicate.state == "posted":
        cost = nanousd_to_usd(duplicate.cost_nanousd)
        msg = (
            f"This request was done already, as decision {duplicate.decision_id}, for ${cost}. "
            "Answers are not stored; to ask again, use a new Idempotency-Key."
        )
        return Refusal("duplicate_ended", msg, {**details, "outcome": "posted", "cost_usd": cost})
    msg = f"This request is under way already, as decision {duplicate.decision_id}."
    return Refusal("duplicate_in_flight", msg, details)


class Repeats:
    """Links an SDK's retries to what they repeat, as far as this process saw it.

    Bodies are known by Python's own keyed hash, which no other process can compute.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[int, UUID] = OrderedDict()

    def note(self, headers: Headers, key_id: str, body: bytes, decision_id: UUID) -> Repeat:
        """Once for each request, with the key it was authenticated by."""
        claimed = claim(headers, key_id, body)
        text = headers.get("x-stainless-retry-count")
        if text is None:
            return NO_REPEAT if claimed is None else Repeat(claimed, 0, None)
        before = self._swap(hash((key_id, body)), decision_id)
        count = min(int(text), _MOST_RETRIES) if text.isdecimal() else 0
        return Repeat(claimed, count, before if count else None)

    def _swap(self, request: int, decision_id: UUID) -> UUID | None:
        before = self._seen.pop(request, None)
        self._seen[request] = decision_id
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return before
