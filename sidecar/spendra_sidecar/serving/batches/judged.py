"""What policy says of a batch: of each request, and of what all of them can cost together."""

from typing import Final

from spendra._hot import Decision, HotError, Inspected, Principal, inspect, rewrite
from spendra.providers import own_operation
from spendra_sidecar.serving.batches.asked import Part
from spendra_sidecar.serving.call import Call, Choice, Judged
from spendra_sidecar.serving.refusals import Refusal
from spendra_sidecar.snapshots.live import Live

TIER: Final = "batch"
"""The service tier of the price catalog at which providers bill what is asked in batches."""


def judge(call: Call, live: Live, principal: Principal, choice: Choice, now_ms: int) -> Judged:
    """The first decision that refuses, or that of the first request with the sums of all.

    Raises Refusal for a request that cannot be read or bounded: nothing can be written into it.
    """
    whole: Judged | None = None
    for part in call.parts or ():
        judged = _one(call, live, principal, choice, now_ms, part)
        if not judged.decision.allowed:
            return judged
        _check_bounded(part, judged)
        if whole is None:
            whole = judged
            continue
        if judged.catalog_model != whole.catalog_model:
            msg = (
                f"Request {part.number} of the batch asks {judged.catalog_model!r} and the first "
                f"{whole.catalog_model!r}; make a batch for each model."
            )
            raise Refusal("body_invalid", msg)
        whole.most_nanousd += judged.most_nanousd
        whole.estimated_nanousd += judged.estimated_nanousd
        whole.most_tokens += judged.most_tokens
    assert whole is not None  # noqa: S101 - a batch without requests was refused
    whole.part = 0
    return whole


def _one(
    call: Call, live: Live, principal: Principal, choice: Choice, now_ms: int, part: Part
) -> Judged:
    route = choice.route
    operation = own_operation(route.row.name, part.operation) or part.operation
    inspected = _read(part, operation.body)
    model = inspected.model or ""
    decision = live.policies.decide(
        principal,
        inspected,
        live.prices,
        provider=route.provider,
        facts=call.facts,
        now_ms=now_ms,
        model=route.asked_as(model) or None,
        service_tier=TIER,
        closed=live.hours.closed(now_ms),
        granted_nanousd=None if call.grant is None else call.grant.nanousd,
    )
    return Judged(
        live, inspected, route, choice.operation, model, route.asked_as(model), decision,
        decision.reserved_nanousd, decision.estimated_nanousd, decision.most_tokens,
        part=part.number,
    )  # fmt: skip


def _read(part: Part, body: str) -> Inspected:
    try:
        return inspect(part.body, body)
    except HotError as error:
        msg = f"Request {part.number} of the batch cannot be read: {error}."
        raise Refusal("body_invalid", msg) from error


def _check_bounded(part: Part, judged: Judged) -> None:
    decision: Decision = judged.decision
    if decision.write_cap or decision.watched:
        msg = (
            f"Request {part.number} of the batch sets no output limit that policy allows, and none "
            f"can be written into it: set one of at most {decision.output_cap} tokens."
        )
        raise Refusal("body_invalid", msg)
    if judged.inspected.stream:
        raise Refusal("body_invalid", f"Request {part.number} of the batch asks for a stream.")
    if judged.inspected.hosted_tools and _needs_limits(part):
        msg = (
            f"Request {part.number} of the batch has tools that run at the provider, as often as "
            "they like: set `max_uses` or `max_tool_calls`."
        )
        raise Refusal("body_invalid", msg)


def _needs_limits(part: Part) -> bool:
    written = rewrite(
        part.body, part.operation.body, include_usage=False, output_cap=None, model=None,
        limit_tools=True,
    )  # fmt: skip
    return written != part.body
