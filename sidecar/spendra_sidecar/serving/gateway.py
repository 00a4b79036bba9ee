"""One request, from top to bottom: admit it, forward it, settle it."""

import asyncio
import time
from collections.abc import Callable

from granian.rsgi import HTTPProtocol, Scope

from spendra.providers import Match
from spendra_sidecar.config import Config
from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.metrics import Metrics
from spendra_sidecar.serving import callers
from spendra_sidecar.serving.admission import Admissions
from spendra_sidecar.serving.bodies import Bodies
from spendra_sidecar.serving.call import Admission, Call, Tried, begin, refuse
from spendra_sidecar.serving.forwarding import Forwarding, attempt_of
from spendra_sidecar.serving.generations import generation_of
from spendra_sidecar.serving.outcomes import Attempt, conclude
from spendra_sidecar.serving.passing import Passing
from spendra_sidecar.serving.refusals import Refusal

Record = Callable[[Call, Refusal | None], None]
"""What is told of each request when it is over, and why it was refused."""
_FREE = frozenset(("free", "later"))


class Gateway:
    """Every operation of the provider table."""

    def __init__(
        self,
        config: Config,
        admissions: Admissions,
        forwarding: Forwarding,
        passing: Passing,
        ledger: Ledger,
        metrics: Metrics,
        record: Record | None,
    ) -> None:
        self._record = record
        self._bodies = Bodies(config)
        self._admissions = admissions
        self._forwarding = forwarding
        self._passing = passing
        self._settling: set[asyncio.Task[None]] = set()
        self._ledger = ledger
        self._metrics = metrics
        self._attempts: set[Attempt] = set()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.stopping = False

    async def serve(self, scope: Scope, protocol: HTTPProtocol, match: Match) -> None:
        call = begin(scope, protocol, match)
        self._under_way += 1
        self._metrics.in_flight.set(self._under_way)
        self._idle.clear()
        refused: Refusal | None = None
        try:
            await self._serve(call)
        except Refusal as refusal:
            refused = refusal
            self._metrics.refused(refusal.kind.status, refusal.code)
            refuse(call, refusal)
        finally:
            self._leave()
            if self._record is not None:
                self._record(call, refused)

    async def _serve(self, call: Call) -> None:
        if self.stopping:
            raise Refusal("shutting_down", "This sidecar is shutting down; try again.")
        if call.match.operation.treatment in _FREE and call.match.operation.form:
            await self._passing.serve(call)
            return
        async with self._bodies.read(call):
            if call.match.operation.treatment in _FREE:
                await self._passing.serve(call)
                return
            call.facts, call.warning = callers.named(call.scope.headers)
            admission = await self._admissions.admit(call)
            if call.parts is not None:
                # They are judged, and never again: what is sent is the call's own body.
                call.parts.clear()
            while not await self._attempt(call, admission):
                admission = await self._admissions.admit(call, admission)

    async def _attempt(self, call: Call, admission: Admission) -> bool:
        """Whether the caller has an answer. The reservation ends here, however it went."""
        attempt = attempt_of(call, admission)
        begun_ns = time.time_ns()
        self._attempts.add(attempt)
        try:
            return await self._forwarding.forward(call, admission, attempt)
        finally:
            self._attempts.discard(attempt)
            if self._record is not None:
                call.tried.append(Tried(admission, attempt, begun_ns, time.time_ns()))
            self._settle(admission, attempt)

    def _settle(self, admission: Admission, attempt: Attempt) -> None:
        """Now; or when a later answer, or the provider's own record, says what it came to."""
        if attempt.is_kept:
            return
        if generation_of(attempt):
            task = asyncio.ensure_future(self._settle_recorded(admission, attempt))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)
            return
        self._ledger.settle(admission.reservation, conclude(attempt))

    async def _settle_recorded(self, admission: Admission, attempt: Attempt) -> None:
        end = None
        try:
            end = await self._forwarding.recorded(admission, attempt)
        except Refusal:
            pass
        finally:
            self._ledger.settle(admission.reservation, end or conclude(attempt))

    async def idle(self) -> None:
        """Until no request is under way."""
        await self._idle.wait()

    async def close(self) -> None:
        """Settle what waits for a word of the provider's."""
        await asyncio.gather(*self._settling, return_exceptions=True)

    def cut(self) -> int:
        """End the answers still under way; each is settled at what was delivered."""
        ended = list(self._attempts)
        for attempt in ended:
            if attempt.exchange is not None:
                attempt.stopped = True
                attempt.exchange.cancel()
        self._passing.cut()
        return len(ended)

    def _leave(self) -> None:
        self._under_way -= 1
        self._metrics.in_flight.set(self._under_way)
        if not self._under_way:
            self._idle.set()
