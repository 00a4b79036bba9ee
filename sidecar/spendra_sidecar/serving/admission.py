"""May it leave? Authenticate, decide, reserve."""

import asyncio
import os
import time
from datetime import UTC, datetime

from spendra._hot import Principal, count_tokens
from spendra.ids import uuid7
from spendra.scopes import ROUTED_FROM
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
    Reviewed,
    StalePolicy,
    Verdict,
    WrongPeriod,
)
from spendra_sidecar.serving import budget_refusals, judging, repeats, reviews, routing
from spendra_sidecar.serving.authentication import Authentication
from spendra_sidecar.serving.batches.batches import Batches
from spendra_sidecar.serving.batches.judged import judge as judge_batch
from spendra_sidecar.serving.breakers import Breakers
from spendra_sidecar.serving.call import Admission, Call, Choice, Judged
from spendra_sidecar.serving.refusals import Refusal
from spendra_sidecar.snapshots.live import Live

_JUDGEMENTS = 4
"""A request is judged again under a newer snapshot, the store's clock, or by its counted tokens, at
most so often."""


class Admissions:
    """Decides under the snapshot in force and holds what was decided."""

    def __init__(
        self,
        config: Config,
        authentication: Authentication,
        ledger: Ledger,
        breakers: Breakers,
        batches: Batches,
    ) -> None:
        self._lease_s = config.lease_s
        self._authentication = authentication
        self._ledger = ledger
        self._breakers = breakers
        self._batches = batches
        self._repeats = repeats.Repeats()

    async def admit(self, call: Call, before: Admission | None = None) -> Admission:
        """Raises Refusal; then nothing is held. `before`: the attempt after which this comes."""
        try:
            return await self._admit(call, before)
        except Refusal:
            if call.grant is not None and before is None:
                await self._ledger.give_review_back(call.grant.request_id, call.decision_id)
            raise

    async def _admit(self, call: Call, before: Admission | None) -> Admission:
        live = self._authentication.snapshot()
        for _ in range(_JUDGEMENTS):
            live, principal = await self._authentication.authenticate(call, live)
            if call.repeat is None:
                call.repeat = self._repeats.note(
                    call.scope.headers, principal.key_id, call.body, call.decision_id
                )
            judged, spare = await self._judge(call, live, principal, before)
            reservation = self._reservation(call, judged, before)
            verdict = await self._reserve(reservation)
            if isinstance(verdict, Held):
                return Admission(judged, reservation, verdict, spare)
            if isinstance(verdict, StalePolicy):
                live = await self._authentication.newer(verdict.version)
            elif isinstance(verdict, Exhausted) and judging.may_fit(call, judged, verdict):
                call.body_tokens = await _counted(call, judged)
            elif isinstance(verdict, Exhausted) and (room := _less(call, judged, verdict)):
                call.affordable_output = room
            elif not isinstance(verdict, WrongPeriod):
                raise self._unfit(call, judged, reservation, verdict)
        msg = "The policy kept changing while this request was judged; try again."
        raise Refusal("ledger_unavailable", msg, retry_after_ms=1000)

    async def _reserve(self, reservation: Reservation) -> Verdict:
        try:
            return await self._ledger.reserve(reservation)
        except LedgerUnavailableError as error:
            msg = f"Spending cannot be enforced right now, so nothing was sent ({error})."
            raise Refusal("ledger_unavailable", msg, retry_after_ms=1000) from error

    async def _judge(
        self, call: Call, live: Live, principal: Principal, before: Admission | None
    ) -> tuple[Judged, list[Choice]]:
        """The judgement of the next choice, and what is left after it."""
        found = await self._choices(call, live, before)
        judged = await self._judged(call, live, principal, found[0])
        if before is None and call.parts is None and live.routing:
            judged, found = self._routed(call, principal, judged, found)
        if judged.decision.reason == reviews.REQUIRED and not judged.has_ceiling:
            call.grant = await self._reviewed(call, judged, principal)
            judged = await self._judged(call, live, principal, found[0])
        self._check(call, judged)
        return judged, found[1:]

    def _routed(
        self, call: Call, principal: Principal, judged: Judged, found: list[Choice]
    ) -> tuple[Judged, list[Choice]]:
        """By the cheapest model that a policy names in place of the one asked for, if any is
        cheaper."""
        said = routing.said(call, judged)
        if said is None:
            return judged, found
        live, best = judged.live, judged
        told = call.facts
        call.facts = {**told, ROUTED_FROM: judged.catalog_model}
        for choice in routing.choices(call, judged, said.models):
            other = judging.judge(call, live, principal, choice, self._now_ms())
            if other.decision.allowed and other.estimated_nanousd < best.estimated_nanousd:
                best = other
        if best is judged:
            call.facts = told
        elif said.mode == "observe":
            call.facts = {**told, routing.CHEAPER: best.catalog_model}
            judged = judging.judge(call, live, principal, found[0], self._now_ms())
        else:
            spare = found if said.mode == "prefer_cheap" else []
            return best, [Choice(best.route, best.operation, best.model), *spare]
        return judged, found

    async def _choices(self, call: Call, live: Live, before: Admission | None) -> list[Choice]:
        if before is not None:
            return judging.renewed(call, live, before.spare)
        if call.match.operation.treatment != "batch":
            return judging.choices(call, live, self._breakers)
        choice = judging.batch_choice(call, live)
        if choice is None:
            return judging.choices(call, live, self._breakers)[:1]
        if call.parts is None:
            call.parts = await self._batches.requests(call, choice)
        return [choice]

    async def _judged(self, call: Call, live: Live, principal: Principal, choice: Choice) -> Judged:
        """A batch in a thread of its own: it may have tens of thousands of requests."""
        if call.parts is None:
            return judging.judge(call, live, principal, choice, self._now_ms())
        return await asyncio.to_thread(judge_batch, call, live, principal, choice, self._now_ms())

    async def _reviewed(self, call: Call, judged: Judged, principal: Principal) -> Reviewed:
        try:
            return await reviews.ask(self._ledger, call, judged, principal.key_id)
        except Refusal as refusal:
            raise self._recorded(call, judged, refusal, ()) from None

    def _check(self, call: Call, judged: Judged) -> None:
        refusal = judging.refusal(call, judged)
        if refusal is not None:
            raise self._recorded(call, judged, refusal, ())

    def _reservation(self, call: Call, judged: Judged, before: Admission | None) -> Reservation:
        decision, now_ms, repeat = judged.decision, self._now_ms(), call.repeat or repeats.NO_REPEAT
        limits = [Limit(*limit) for limit in decision.limits]
        if call.parts is not None:
            # It is not in flight, and its tokens are used when the provider has time for them.
            limits = [limit for limit in limits if limit.rule == "requests_per_minute"]
        elif before is not None:
            # The request was counted by its first attempt, which also has the idempotency key.
            limits = [limit for limit in limits if limit.rule == "max_concurrency"]
        return Reservation(
            id=call.decision_id if before is None else uuid7(now_ms, os.urandom(10)),
            decision_id=call.decision_id,
            attempt=1 if before is None else before.reservation.attempt + 1,
            reserved_at=datetime.fromtimestamp(now_ms / 1000, UTC),
            amount_nanousd=judged.most_nanousd,
            estimated_nanousd=judged.estimated_nanousd,
            accounts=judged.live.accounts(decision.budgets, now_ms),
            limits=limits,
            provider=judged.route.provider,
            model=judged.catalog_model,
            policy_version=judged.live.version,
            price_version=decision.price_version,
            facts=decision.facts,
            dispatch_by=time.monotonic() + self._lease_s,
            most_tokens=judged.most_tokens,
            claim=repeat.claim if before is None else None,
            retry_count=repeat.retry_count,
            retry_of=repeat.retry_of,
        )

    def _unfit(
        self, call: Call, judged: Judged, reservation: Reservation,
        verdict: Exhausted | Limited | Duplicate | Frozen,
    ) -> Refusal:  # fmt: skip
        if isinstance(verdict, Exhausted):
            refusal = budget_refusals.exhausted(verdict, judged)
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
                judged.catalog_model,
                decision.estimated_nanousd,
                judged.most_nanousd,
                ",".join(account.id for account in accounts),
                judged.live.version,
                decision.facts,
            )
        )
        return refusal

    def _now_ms(self) -> int:
        return self._ledger.now_ms()


def _less(call: Call, judged: Judged, short: Exhausted) -> int:
    """Output tokens with which it was not tried, where a policy may want less rather than none;
    else 0."""
    if not judged.live.fits or call.parts is not None:
        return 0
    room, cap = budget_refusals.affordable_output(judged, short), judged.decision.output_cap or 0
    known = call.affordable_output
    return room if room < cap and (known is None or room < known) else 0


async def _counted(call: Call, judged: Judged) -> int:
    """Tokens of the body as it is, in a thread of its own: a long one takes milliseconds."""
    text = call.body.decode("utf-8", "replace")
    return await asyncio.to_thread(count_tokens, text, judged.catalog_model)
