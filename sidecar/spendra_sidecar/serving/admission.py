"""May it leave? Authenticate, inspect, decide, reserve."""

import time
from datetime import UTC, datetime

from spendra._hot import Decision, HotError, Inspected, Principal, inspect
from spendra.snapshot import RouteRecord
from spendra_sidecar.config import Config
from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.ledger.words import (
    Account,
    Duplicate,
    Exhausted,
    Frozen,
    Held,
    LedgerUnavailableError,
    Limit,
    Limited,
    Reservation,
    StalePolicy,
    WrongPeriod,
)
from spendra_sidecar.serving import budget_refusals, callers, repeats
from spendra_sidecar.serving.call import REQUEST_DIALECT, Admission, Call, Judged
from spendra_sidecar.serving.refusals import Refusal
from spendra_sidecar.snapshots.live import Live
from spendra_sidecar.snapshots.receiver import Receiver

_JUDGEMENTS = 3
"""A request is judged again under a newer snapshot, or the store's clock, at most so often."""
_NEWER_SNAPSHOT_S = 2.0
_FRESH_KEY_S = 1.0
_NUL = "\\u0000"
"""As JSON writes it; no text in Postgres holds one."""
_KEY_REFUSALS = {
    "key_malformed": "This is not a whole Spendra key: its checksum does not fit. Copy it again.",
    "key_unknown": "This key is not known here. Ask the operator who issued it.",
    "key_revoked": "This key was revoked.",
    "key_paused": "This key is paused; an operator can resume it.",
    "key_expired": "This key has expired.",
}


class Admissions:
    """Decides under the snapshot in force and holds what was decided."""

    def __init__(self, config: Config, receiver: Receiver, ledger: Ledger) -> None:
        self._config = config
        self._receiver = receiver
        self._ledger = ledger
        self._repeats = repeats.Repeats()

    async def admit(self, call: Call) -> Admission:
        """Raises Refusal; then nothing is held."""
        live = self._snapshot()
        for _ in range(_JUDGEMENTS):
            live, principal = await self._authenticate(call, live)
            call.repeat = call.repeat or self._repeats.note(
                call.scope.headers, principal.key_id, call.body, call.decision_id
            )
            judged = self._judge(call, live, principal)
            reservation = self._reservation(call, judged)
            try:
                verdict = await self._ledger.reserve(reservation)
            except LedgerUnavailableError as error:
                msg = f"Spending cannot be enforced right now, so nothing was sent ({error})."
                raise Refusal("ledger_unavailable", msg, retry_after_ms=1000) from error
            if isinstance(verdict, Held):
                return Admission(judged, reservation, verdict)
            if isinstance(verdict, StalePolicy):
                live = await self._newer(verdict.version)
            elif not isinstance(verdict, WrongPeriod):
                raise self._unfit(call, judged, reservation, verdict)
        msg = "The policy kept changing while this request was judged; try again."
        raise Refusal("ledger_unavailable", msg, retry_after_ms=1000)

    def _judge(self, call: Call, live: Live, principal: Principal) -> Judged:
        inspected = _inspect(call.body)
        route = _route(live, inspected)
        decision = self._decide(call, live, principal, inspected, route)
        if _NUL in decision.facts:
            msg = "The model, or a label, holds a NUL character; it cannot be booked."
            raise Refusal("body_invalid", msg)
        judged = Judged(live, inspected, route, decision)
        if not decision.allowed:
            refusal = Refusal(decision.reason, decision.message, {"rules": _rules(decision)})
            raise self._recorded(call, judged, refusal, ())
        return judged

    def _snapshot(self) -> Live:
        live = self._receiver.usable()
        if live is not None:
            return live
        if self._receiver.live is None:
            msg = "This sidecar has no policy yet: no control plane was reached."
            raise Refusal("snapshot_missing", msg, retry_after_ms=1000)
        msg = (
            f"The policy here was last confirmed {self._receiver.staleness_s():.0f} s ago, more "
            f"than the {self._config.max_staleness_s} s allowed (SPENDRA_MAX_STALENESS_S)."
        )
        raise Refusal("snapshot_stale", msg, retry_after_ms=5000)

    async def _newer(self, version: int) -> Live:
        live = await self._receiver.at_least(version, _NEWER_SNAPSHOT_S)
        if live is None:
            msg = f"Policy version {version} is required and has not reached this sidecar yet."
            raise Refusal("snapshot_stale", msg, retry_after_ms=1000)
        return live

    async def _authenticate(self, call: Call, live: Live) -> tuple[Live, Principal]:
        """Who asks, and the snapshot that knows it: a key may be younger than ours."""
        key = callers.presented_key(call.scope.headers, call.scope.query_string)
        if not key:
            msg = "No key: give a Spendra key as the SDK's API key, or in X-Spendra-Key."
            raise Refusal("key_missing", msg)
        found = live.keys.authenticate(key, self._now_ms())
        if found == "key_unknown":
            live = await self._receiver.at_least(live.version + 1, _FRESH_KEY_S) or live
            found = live.keys.authenticate(key, self._now_ms())
        if isinstance(found, str):
            raise Refusal(found, _KEY_REFUSALS[found])
        return live, found

    def _decide(
        self, call: Call, live: Live, principal: Principal, inspected: Inspected, route: RouteRecord
    ) -> Decision:
        return live.policies.decide(
            principal,
            inspected,
            live.prices,
            provider=route.provider,
            facts=call.facts,
            now_ms=self._now_ms(),
        )

    def _reservation(self, call: Call, judged: Judged) -> Reservation:
        decision, now_ms, repeat = judged.decision, self._now_ms(), call.repeat or repeats.NO_REPEAT
        return Reservation(
            id=call.decision_id,
            decision_id=call.decision_id,
            attempt=1,
            reserved_at=datetime.fromtimestamp(now_ms / 1000, UTC),
            amount_nanousd=decision.reserved_nanousd,
            estimated_nanousd=decision.estimated_nanousd,
            accounts=judged.live.accounts(decision.budgets, now_ms),
            limits=[Limit(*limit) for limit in decision.limits],
            provider=judged.route.provider,
            model=judged.inspected.model or "",
            policy_version=judged.live.version,
            price_version=decision.price_version,
            facts=decision.facts,
            dispatch_by=time.monotonic() + self._config.lease_s,
            most_tokens=decision.most_tokens,
            claim=repeat.claim,
            retry_count=repeat.retry_count,
            retry_of=repeat.retry_of,
        )

    def _unfit(
        self, call: Call, judged: Judged, reservation: Reservation,
        verdict: Exhausted | Limited | Duplicate | Frozen,
    ) -> Refusal:  # fmt: skip
        if isinstance(verdict, Exhausted):
            choices = judged.inspected.choices
            refusal = budget_refusals.exhausted(verdict, judged.decision, choices)
        elif isinstance(verdict, Limited):
            refusal = budget_refusals.limited(verdict)
        elif isinstance(verdict, Duplicate):
            refusal = repeats.refused(verdict)
        else:
            refusal = budget_refusals.frozen(verdict)
        return self._recorded(call, judged, refusal, reservation.accounts)

    def _recorded(
        self, call: Call, judged: Judged, refusal: Refusal, accounts: tuple[Account, ...]
    ) -> Refusal:
        """Keep a refusal where the decision's id finds it; refused callers change no balance."""
        decision = judged.decision
        self._ledger.refuse(
            (
                call.decision_id,
                datetime.now(UTC),
                refusal.kind.status,
                refusal.code,
                refusal.message,
                judged.route.provider,
                judged.inspected.model or "",
                decision.estimated_nanousd,
                decision.reserved_nanousd,
                ",".join(account.id for account in accounts),
                judged.live.version,
                decision.facts,
            )
        )
        return refusal

    def _now_ms(self) -> int:
        return self._ledger.now_ms()


def _inspect(body: bytes) -> Inspected:
    try:
        inspected = inspect(body, REQUEST_DIALECT)
    except HotError as error:
        raise Refusal("body_invalid", f"The request body cannot be read: {error}.") from error
    if inspected.model is None:
        raise Refusal("model_missing", "The request names no model.")
    return inspected


def _route(live: Live, inspected: Inspected) -> RouteRecord:
    route = live.route(inspected.model or "")
    if route is None:
        msg = f"No provider route serves the model {inspected.model!r}; an operator can add one."
        raise Refusal("no_provider_route", msg)
    return route


def _rules(decision: Decision) -> list[dict[str, str]]:
    return [
        {"policy_id": r.policy_id, "rule": r.rule, "verdict": r.verdict, "detail": r.detail}
        for r in decision.reasons
        if r.verdict == "refuse"
    ]
