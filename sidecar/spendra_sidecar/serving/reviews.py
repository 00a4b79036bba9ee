"""Requests that a policy wants somebody to look at before they may leave."""

from typing import Final

from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.ledger.words import LedgerUnavailableError, Reviewed
from spendra_sidecar.serving import judging
from spendra_sidecar.serving.call import Call, Judged
from spendra_sidecar.serving.refusals import Refusal

REQUIRED: Final = "review_required"
_RULE: Final = "review_above_nanousd"


async def ask(ledger: Ledger, call: Call, judged: Judged, key_id: str) -> Reviewed:
    """The approval of this request. Raises Refusal, which names the one that it waits for."""
    decision = judged.decision
    policy_id = next(r.policy_id for r in decision.reasons if r.rule == _RULE)
    try:
        found = await ledger.ask_review(
            call.decision_id, key_id, policy_id, judged.route.provider, judged.catalog_model,
            decision.reserved_nanousd, decision.facts,
        )  # fmt: skip
    except LedgerUnavailableError as error:
        msg = f"Nobody can be asked to review this right now, so nothing was sent ({error})."
        raise Refusal("ledger_unavailable", msg, retry_after_ms=1000) from error
    if found.state != "approved":
        raise _waits(call, judged, found)
    return found


def _waits(call: Call, judged: Judged, found: Reviewed) -> Refusal:
    refusal = judging.refusal(call, judged)
    assert refusal is not None  # noqa: S101 - the decision was to have it reviewed
    if found.state == "denied":
        told = f"It was denied as {found.request_id}" + (f": {found.note}" if found.note else "")
    else:
        told = f"It waits as {found.request_id}; once that is approved, send it again"
    details = refusal.details | {"review": {"id": found.request_id, "state": found.state}}
    return Refusal(REQUIRED, f"{refusal.message}. {told}.", details)
