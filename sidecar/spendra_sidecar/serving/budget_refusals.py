"""What a caller is told when a reservation did not fit."""

from datetime import UTC, datetime

from spendra.money import nanousd_to_usd
from spendra.periods import FOREVER_S
from spendra_sidecar.ledger.words import Exhausted, Frozen, Limited
from spendra_sidecar.serving.call import Judged
from spendra_sidecar.serving.refusals import Refusal

_LIMITED = {"requests_per_minute": "requests", "tokens_per_minute": "tokens"}
_LIMIT_BYTES = len('"max_completion_tokens":1000000,')


def exhausted(short: Exhausted, judged: Judged) -> Refusal:
    """402: names the budget, what is left and held, what would still fit, and when it resets."""
    budget = short.account.budget
    remaining = max(short.limit_nanousd - short.taken_nanousd, 0)
    resets_at = _resets_at(short.account.end_s)
    asked = judged.most_nanousd
    affordable = affordable_output(judged, short)
    message = (
        f"Budget {budget.name!r} ({budget.period}) has ${nanousd_to_usd(remaining)} left of "
        f"${nanousd_to_usd(short.limit_nanousd)}, and this request could cost up to "
        f"${nanousd_to_usd(asked)}. "
        f"${nanousd_to_usd(short.held_nanousd)} is held by requests in flight. "
        f"{_advice(affordable)} {_reset_sentence(resets_at)}"
    )
    return Refusal(
        "budget_exhausted",
        message,
        {
            "budget_id": budget.id,
            "budget": budget.name,
            "limit_nanousd": short.limit_nanousd,
            "remaining_nanousd": remaining,
            "remaining_usd": nanousd_to_usd(remaining),
            "held_nanousd": short.held_nanousd,
            "held_usd": nanousd_to_usd(short.held_nanousd),
            "requested_nanousd": asked,
            "requested_usd": nanousd_to_usd(asked),
            "affordable_output_tokens": affordable,
            "resets_at": resets_at,
        },
    )


def ended(short: Exhausted, more_nanousd: int) -> Refusal:
    """402, within a stream: what was delivered is charged, and no more fits."""
    budget = short.account.budget
    remaining = max(short.limit_nanousd - short.taken_nanousd, 0)
    resets_at = _resets_at(short.account.end_s)
    message = (
        f"Budget {budget.name!r} ({budget.period}) has ${nanousd_to_usd(remaining)} left of "
        f"${nanousd_to_usd(short.limit_nanousd)}, and to go on this answer would have to hold "
        f"${nanousd_to_usd(more_nanousd)} more. What was delivered is charged. "
        f"{_reset_sentence(resets_at)}"
    )
    details = {
        "budget_id": budget.id,
        "budget": budget.name,
        "remaining_nanousd": remaining,
        "requested_nanousd": more_nanousd,
        "resets_at": resets_at,
    }
    return Refusal("budget_exhausted", message, details)


def limited(verdict: Limited) -> Refusal:
    """429: names the policy, its rule and when to come again."""
    rule, policy_id, most = verdict.limit
    details = {"policy_id": policy_id, rule: most}
    wait_ms = verdict.retry_after_ms
    if rule == "max_concurrency":
        message = f"Policy {policy_id} allows {most} requests in flight, and so many are."
        return Refusal("concurrency_limited", message, details, retry_after_ms=wait_ms)
    what = _LIMITED[rule]
    message = f"Policy {policy_id} allows {most} {what} a minute; try again in {wait_ms} ms."
    return Refusal("rate_limited", message, details, retry_after_ms=wait_ms)


def frozen(_: Frozen) -> Refusal:
    return Refusal("spending_frozen", "Spending of this organization is stopped by its operators.")


def affordable_output(judged: Judged, short: Exhausted) -> int:
    """Output tokens of each choice that would still fit; 0 when the input does not, or where a
    batch would have to be a smaller one."""
    decision, choices = judged.decision, judged.inspected.choices
    if judged.most_nanousd != decision.reserved_nanousd:
        return 0
    cap = decision.output_cap or 0
    for_input = decision.reserved_input_nanousd
    for_output = decision.reserved_nanousd - for_input
    # Saying so in the request makes its input a little longer.
    longer = -(-for_input * _LIMIT_BYTES // max(decision.input_bound_tokens, 1))
    room = max(short.limit_nanousd - short.taken_nanousd, 0) - for_input - longer
    if room <= 0 or for_output <= 0 or choices <= 0:
        return 0
    return min(cap, cap * room // for_output)


def _advice(affordable: int) -> str:
    if affordable <= 0:
        return "Not even its input fits."
    return f"With at most {affordable} output tokens it would fit."


def _resets_at(end_s: int) -> str | None:
    return None if end_s >= FOREVER_S else datetime.fromtimestamp(end_s, UTC).isoformat()


def _reset_sentence(resets_at: str | None) -> str:
    return "It does not reset." if resets_at is None else f"It resets at {resets_at}."
