"""Where a request may go, and what policy says of it. Rules only; nothing here waits."""

from spendra._hot import Decision, Principal
from spendra_sidecar.ledger.words import Exhausted
from spendra_sidecar.serving import requests
from spendra_sidecar.serving.breakers import Breakers
from spendra_sidecar.serving.call import Call, Choice, Judged
from spendra_sidecar.serving.refusals import Refusal
from spendra_sidecar.snapshots.live import Live
from spendra_sidecar.snapshots.routes import Route

_NUL = "\\u0000"
_MOST_COUNTED_BYTES = 1 << 20
_UNBOUNDED = frozenset(("unpriced_model", "model_missing", "input_unbounded"))
"""Reasons for which a configured ceiling stands in."""


def choices(call: Call, live: Live, breakers: Breakers) -> list[Choice]:
    """The route that serves this, then its fallbacks. Raises Refusal where there is none."""
    match, model = call.match, requests.asked(call).model
    if not match.operation.body and match.operation.treatment == "metered":
        return [_let_through(call, live)]
    found = live.routes.serving(match, model)
    if found is None:
        raise _no_route(call, model)
    first = Choice(*found, model)
    if not first.route.record.fallbacks or call.scope.headers.get("x-spendra-route") == "skip":
        return [first]
    every = [first, *_fallbacks(call, live, first)]
    # A route that fails is left alone for a while, but never the last one that there is.
    return [each for each in every if breakers.lets_through(each.route.name)] or every


def batch_choice(call: Call, live: Live) -> Choice | None:
    """The route of a batch whose requests are to be read; None where a ceiling stands for them."""
    found = live.routes.serving(call.match, "")
    if found is None:
        raise _no_route(call, "")
    choice = Choice(*found, "")
    path = choice.route.path(choice.operation, call.match.values)
    return choice if choice.route.ceiling(path or "") is None else None


def renewed(call: Call, live: Live, spare: list[Choice]) -> list[Choice]:
    """What is left to try, under the snapshot in force."""
    found = []
    for choice in spare:
        route = live.routes.named(choice.route.name)
        operation = route and live.routes.operation_at(route, call.match)
        if route and operation:
            found.append(Choice(route, operation, choice.model))
    if not found:
        raise _no_route(call, spare[0].model)
    return found


def _fallbacks(call: Call, live: Live, first: Choice) -> list[Choice]:
    """Those that can do the same; where the path names the provider's own protocol, most cannot."""
    found = []
    for fallback in first.route.record.fallbacks:
        route = live.routes.named(fallback.route)
        operation = route and live.routes.operation_at(route, call.match)
        if route and operation:
            found.append(Choice(route, operation, fallback.model or first.model))
    return found


def judge(call: Call, live: Live, principal: Principal, choice: Choice, now_ms: int) -> Judged:
    """The decision on this choice, which may be a refusal. Raises Refusal for an unfit body."""
    route, operation, model = choice
    inspected = requests.asked(call).inspected
    if operation.body != call.match.operation.body and not operation.form:
        inspected = requests.read(call, operation)
    catalog_model = route.asked_as(model)
    decision = live.policies.decide(
        principal,
        inspected,
        live.prices,
        provider=route.provider,
        facts=call.facts,
        now_ms=now_ms,
        model=catalog_model or None,
        body_tokens=call.body_tokens,
        closed=live.hours.closed(now_ms),
        granted_nanousd=None if call.grant is None else call.grant.nanousd,
        affordable_output=call.affordable_output,
    )
    if _NUL in decision.facts:
        msg = "The model, or a label, holds a NUL character; it cannot be booked."
        raise Refusal("body_invalid", msg)
    ceiling = _ceiling(call, choice, decision)
    most = decision.reserved_nanousd if ceiling is None else ceiling
    return Judged(
        live, inspected, route, operation, model, catalog_model, decision, most,
        decision.estimated_nanousd or most, decision.most_tokens, ceiling is not None,
    )  # fmt: skip


def may_fit(call: Call, judged: Judged, short: Exhausted) -> bool:
    """Whether a budget that is short for the body's bytes may have room for its tokens."""
    countable = judged.route.provider == "openai" and judged.operation.body == "openai_chat"
    fixed_nanousd = judged.most_nanousd - judged.decision.reserved_input_nanousd
    return (
        countable
        and call.body_tokens is None
        and len(call.body) <= _MOST_COUNTED_BYTES
        and judged.inspected.bounded_by_bytes
        and fixed_nanousd < short.limit_nanousd - short.taken_nanousd
    )


def refusal(call: Call, judged: Judged) -> Refusal | None:
    """Why policy refuses; None where it does not."""
    decision = judged.decision
    if decision.allowed or judged.has_ceiling:
        return None
    message = decision.message
    if judged.part:
        message = f"Request {judged.part} of the batch: {message}"
    if decision.reason in _UNBOUNDED:
        message = f"{message}. {_ceiling_advice(call, judged.route)}"
    return Refusal(decision.reason, message, {"rules": _rules(decision)})


def _ceiling(call: Call, choice: Choice, decision: Decision) -> int | None:
    if decision.allowed or decision.reason not in _UNBOUNDED:
        return None
    path = choice.route.path(choice.operation, call.match.values)
    return choice.route.ceiling(path or "")


def _let_through(call: Call, live: Live) -> Choice:
    """A path that is not in the table, where a route has a ceiling for it."""
    match = call.match
    routes = live.routes.candidates(match.route)
    found = next((r for r in routes if r.ceiling(match.operation.path) is not None), None)
    if found is not None:
        return Choice(found, match.operation, "")
    scope = call.scope
    message = (
        f"{scope.method} {scope.path} is known neither as metered nor as free, so it does not "
        f"leave. {_ceiling_advice(call, routes[0] if routes else None)}"
    )
    raise Refusal("route_unknown", message)


def _ceiling_advice(call: Call, route: Route | None) -> str:
    name = route.name if route else call.match.route or "{provider}"
    return (
        f"An operator can let it pass at a ceiling: `unmetered_ceiling_usd` of the route "
        f"{name!r} (PUT /v1/providers/{name}), by the provider's path."
    )


def _no_route(call: Call, model: str) -> Refusal:
    what = f"the model {model!r}" if model else call.scope.path
    where = f" at {call.match.route!r}" if call.match.route else ""
    message = f"No provider route serves {what}{where}; an operator can add one."
    return Refusal("no_provider_route", message)


def _rules(decision: Decision) -> list[dict[str, str]]:
    return [
        {"policy_id": r.policy_id, "rule": r.rule, "verdict": r.verdict, "detail": r.detail}
        for r in decision.reasons
        if r.verdict == "refuse"
    ]
