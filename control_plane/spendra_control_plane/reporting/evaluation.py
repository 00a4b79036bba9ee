"""What would happen to a request, and why: decided by the sidecars' own rules, and not sent."""

from dataclasses import dataclass
from typing import Any

import msgspec

from spendra._hot import (
    Decision,
    HotError,
    PolicyTree,
    PriceBook,
    Principal,
    inspect,
    mint_key,
)
from spendra.hours import HoursClock
from spendra.periods import window
from spendra.principals import principal_of
from spendra.providers import Operation, find
from spendra.snapshot import (
    BudgetRecord,
    KeyRecord,
    PolicyRecord,
    PolicySegment,
    Rules,
    Selector,
)
from spendra_control_plane.authoring import budgets
from spendra_control_plane.authoring.amounts import amount
from spendra_control_plane.authoring.refusals import refuse_invalid, refuse_missing
from spendra_control_plane.reporting.spend import totals
from spendra_control_plane.snapshots.ancestry import flatten
from spendra_control_plane.snapshots.compile import (
    key_record,
    own_prices,
    policy_segment,
    read_parents,
)
from spendra_control_plane.snapshots.prices import prices_segment
from spendra_control_plane.stores.postgres import Connection, Pool
from spendra_control_plane.stores.sql import statements

SQL = statements("keys")
ORG = statements("snapshots")
_TRIED = "the policy that is tried"


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A policy that is not in force. `replaces`: one that is left out instead."""

    selector: Selector
    rules: Rules
    replaces: str | None


@dataclass(frozen=True, kw_only=True)
class Question:
    """`key_id`, or the scope and environment of a caller without a key yet."""

    key_id: str | None
    scope: dict[str, str]
    environment: str
    provider: str
    path: str
    body: bytes
    facts: dict[str, str]
    tried: Tried | None


async def evaluate(
    pool: Pool, org_id: str, catalog: bytes, question: Question, now_ms: int
) -> dict[str, Any]:
    """Raises Refusal for what cannot be asked."""
    async with pool.acquire() as connection, connection.transaction(readonly=True):
        principal = await _principal(connection, org_id, question, now_ms)
        org = await connection.fetchrow(ORG["reread"], org_id)
        assert org is not None  # noqa: S101 - the caller is of it
        policy = _with(await policy_segment(connection, org), question.tried)
        prices = prices_segment(catalog, await own_prices(connection, org_id))
        decision = _decide(principal, policy, PriceBook.load(prices), question, now_ms)
        met = [policy.budgets[position] for position in decision.budgets]
        shown = [await _budget(connection, org_id, each, decision, now_ms) for each in met]
    return _view(decision, [each for each in shown if each is not None])


async def _principal(
    connection: Connection, org_id: str, question: Question, now_ms: int
) -> Principal:
    if question.key_id is not None:
        known = await key_record(connection, org_id, question.key_id)
        if known is None:
            refuse_missing("key", question.key_id)
        return _in_project(_known(known, now_ms), question)
    _, key_id = mint_key(question.environment)
    parents = await read_parents(connection, org_id)
    record = KeyRecord(
        id=key_id, name="", environment=question.environment, state="active", hashes=[],
        scope=flatten(question.scope, parents),
    )  # fmt: skip
    return _known(record, now_ms)


def _in_project(principal: Principal, question: Question) -> Principal:
    """Of a key for several, the one that the request names."""
    if not principal.projects:
        return principal
    bound = principal.in_project(question.facts.get("project", ""))
    if bound is None:
        known = ", ".join(principal.projects)
        refuse_invalid(f"facts.project: the key is for several projects; name one of {known}.")
    return bound


def _known(record: KeyRecord, now_ms: int) -> Principal:
    """As a sidecar knows the key."""
    found = principal_of(record, now_ms)
    if isinstance(found, str):
        refuse_invalid(f"The key {record.id!r} is refused: {found}.")
    return found


def _with(policy: PolicySegment, tried: Tried | None) -> PolicySegment:
    if tried is None:
        return policy
    kept = [each for each in policy.policies if each.id != tried.replaces]
    if tried.replaces is not None and len(kept) == len(policy.policies):
        refuse_missing("policy", tried.replaces)
    new = PolicyRecord(id=_TRIED, name=_TRIED, selector=tried.selector, rules=tried.rules)
    return msgspec.structs.replace(policy, policies=[*kept, new])


def _decide(
    principal: Principal, policy: PolicySegment, prices: PriceBook, question: Question, now_ms: int
) -> Decision:
    operation = _operation(question)
    try:
        return PolicyTree.load(msgspec.json.encode(policy)).decide(
            principal,
            inspect(question.body, operation.body),
            prices,
            provider=question.provider,
            facts=question.facts,
            now_ms=now_ms,
            closed=HoursClock(policy.policies).closed(now_ms),
        )
    except HotError as error:
        refuse_invalid(f"The request cannot be read: {error}.")


def _operation(question: Question) -> Operation:
    speaks_anthropic = question.path.endswith("/messages")
    match = find(
        "POST", question.path, speaks_anthropic=speaks_anthropic, kind_of=lambda name: name
    )
    if match is None or not match.operation.body or match.operation.form:
        refuse_invalid(f"{question.path!r} is no path of a sidecar whose JSON body is metered.")
    return match.operation


async def _budget(
    connection: Connection, org_id: str, budget: BudgetRecord, decision: Decision, now_ms: int
) -> dict[str, Any] | None:
    """None: it does not count now."""
    now = window(budget, now_ms)
    if now is None:
        return None
    row = await budgets.read(connection, org_id, budget.id)
    settled, held, _ = await totals(connection, org_id, row, now)
    remaining = budget.limit_nanousd - settled - held
    return {
        "id": budget.id,
        "name": budget.name,
        "kind": budget.kind,
        **amount("limit", budget.limit_nanousd),
        **amount("remaining", remaining),
        "fits": budget.kind == "soft" or decision.reserved_nanousd <= remaining,
    }


def _view(decision: Decision, met: list[dict[str, Any]]) -> dict[str, Any]:
    short = next((each["id"] for each in met if not each["fits"]), None)
    refused = decision.reason or ("budget_exhausted" if short else "")
    return {
        "outcome": "refused" if refused else "admitted",
        "reason": refused or None,
        "message": decision.message or None,
        "warning": decision.warning or None,
        "rules": [
            {"policy_id": r.policy_id, "rule": r.rule, "verdict": r.verdict, "detail": r.detail}
            for r in decision.reasons
        ],
        "limits": [
            {"rule": rule, "policy_id": policy_id, "most": most}
            for rule, policy_id, most in decision.limits
        ],
        "output_cap": decision.output_cap,
        **amount("estimated", decision.estimated_nanousd),
        **amount("reserved", decision.reserved_nanousd),
        "price_version": decision.price_version or None,
        "scope": msgspec.json.decode(decision.facts),
        "budgets": met,
    }
