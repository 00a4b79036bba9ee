"""What is known of one request, filled in on its way down."""

import os
import time
from dataclasses import dataclass, field
from uuid import UUID

from granian.rsgi import HTTPProtocol, Scope

from spendra._hot import Decision, Inspected
from spendra.ids import uuid7
from spendra.snapshot import RouteRecord
from spendra_sidecar.ledger.words import Held, Reservation
from spendra_sidecar.serving import answers, refusals
from spendra_sidecar.serving.refusals import Refusal
from spendra_sidecar.serving.repeats import Repeat
from spendra_sidecar.snapshots.live import Live

REQUEST_DIALECT = "openai_chat"
"""What bodies on /v1/chat/completions are read and rewritten as (`spendra._hot.inspect`)."""


@dataclass(slots=True)
class Call:
    """One request and the protocol to answer it with."""

    scope: Scope
    protocol: HTTPProtocol
    started_ns: int
    decision_id: UUID
    trace: tuple[str, str]
    facts: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    repeat: Repeat | None = None
    waited_ns: int = 0
    """Time spent waiting for the provider."""


@dataclass(slots=True)
class Judged:
    """A request that policy allows: what it asks, what was decided, where it would go."""

    live: Live
    inspected: Inspected
    route: RouteRecord
    decision: Decision


@dataclass(slots=True)
class Admission:
    """A request that may leave: its reservation is held and durable."""

    judged: Judged
    reservation: Reservation
    held: Held


def begin(scope: Scope, protocol: HTTPProtocol) -> Call:
    random = os.urandom(34)
    decision_id = uuid7(time.time_ns() // 1_000_000, random[24:])
    trace = answers.trace_of(scope.headers.get("traceparent"), random)
    return Call(scope, protocol, time.perf_counter_ns(), decision_id, trace)


def refuse(call: Call, refusal: Refusal) -> None:
    """Answer with a refusal in the caller's protocol, before any byte of another answer."""
    decision_id = str(call.decision_id)
    headers = refusals.headers(refusal) + answers.identity(decision_id, call.trace)
    headers += answers.latency(call.started_ns, call.waited_ns)
    call.protocol.response_bytes(refusal.kind.status, headers, refusals.body(refusal, decision_id))
