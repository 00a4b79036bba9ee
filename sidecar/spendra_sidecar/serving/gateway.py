"""One request, from top to bottom: admit it, forward it, settle it."""

import asyncio

from granian.rsgi import HTTPProtocol, Scope

from spendra_sidecar.config import Config
from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.metrics import Metrics
from spendra_sidecar.serving import callers
from spendra_sidecar.serving.admission import Admissions
from spendra_sidecar.serving.call import Admission, Call, begin, refuse
from spendra_sidecar.serving.forwarding import Forwarding
from spendra_sidecar.serving.outcomes import Attempt, conclude
from spendra_sidecar.serving.refusals import Refusal


class Gateway:
    """Chat completions in OpenAI's shape."""

    def __init__(
        self,
        config: Config,
        admissions: Admissions,
        forwarding: Forwarding,
        ledger: Ledger,
        metrics: Metrics,
    ) -> None:
        self._max_body_bytes = config.max_body_bytes
        self._admissions = admissions
        self._forwarding = forwarding
        self._ledger = ledger
        self._metrics = metrics
        self._attempts: set[Attempt] = set()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.stopping = False

    async def chat(self, scope: Scope, protocol: HTTPProtocol) -> None:
        call = begin(scope, protocol)
        self._under_way += 1
        self._metrics.in_flight.set(self._under_way)
        self._idle.clear()
        try:
            await self._chat(call)
        except Refusal as refusal:
            self._metrics.refused(refusal.kind.status, refusal.code)
            refuse(call, refusal)
        finally:
            self._leave()

    async def _chat(self, call: Call) -> None:
        if self.stopping:
            raise Refusal("shutting_down", "This sidecar is shutting down; try again.")
        call.body = await self._read(call)
        call.facts = callers.named_facts(call.scope.headers)
        admission = await self._admissions.admit(call)
        attempt = _attempt(call, admission)
        self._attempts.add(attempt)
        try:
            await self._forwarding.forward(call, admission, attempt)
        finally:
            self._attempts.discard(attempt)
            self._ledger.settle(admission.reservation, conclude(attempt))

    async def idle(self) -> None:
        """Until no request is under way."""
        await self._idle.wait()

    def cut(self) -> int:
        """End the answers still under way; each is settled at what was delivered."""
        ended = list(self._attempts)
        for attempt in ended:
            if attempt.exchange is not None:
                attempt.stopped = True
                attempt.exchange.cancel()
        return len(ended)

    def _leave(self) -> None:
        self._under_way -= 1
        self._metrics.in_flight.set(self._under_way)
        if not self._under_way:
            self._idle.set()

    async def _read(self, call: Call) -> bytes:
        length = call.scope.headers.get("content-length")
        if length is not None and length.isdecimal() and int(length) <= self._max_body_bytes:
            return await call.protocol()
        chunks, size = [], 0
        async for chunk in call.protocol:
            size += len(chunk)
            if size > self._max_body_bytes:
                most = self._max_body_bytes
                msg = f"The request body is larger than {most} bytes (SPENDRA_MAX_BODY_BYTES)."
                raise Refusal("body_too_large", msg)
            chunks.append(chunk)
        return b"".join(chunks)


def _attempt(call: Call, admission: Admission) -> Attempt:
    judged, reservation = admission.judged, admission.reservation
    return Attempt(
        provider=reservation.provider,
        requested_model=reservation.model,
        body=call.body,
        decision=judged.decision,
        prices=judged.live.prices,
        reserved_ms=int(reservation.reserved_at.timestamp() * 1000),
        stream=judged.inspected.stream,
    )
