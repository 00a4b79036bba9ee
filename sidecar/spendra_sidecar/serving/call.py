"""What is known of one request, filled in on its way down."""

import os
import time
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from granian.rsgi import HTTPProtocol, Scope

from spendra._hot import Decision, Inspected
from spendra.ids import uuid7
from spendra.providers import Match, Operation
from spendra_sidecar.ledger.words import Held, Reservation, Reviewed
from spendra_sidecar.serving import answers, protocols, refusals
from spendra_sidecar.serving.batches.asked import Part
from spendra_sidecar.serving.outcomes import Attempt
from spendra_sidecar.serving.refusals import Refusal
from spendra_sidecar.serving.repeats import Repeat
from spendra_sidecar.snapshots.live import Live
from spendra_sidecar.snapshots.routes import Route


class Tried(NamedTuple):
    """One attempt, and when it was under way: nanoseconds of Unix time."""

    admission: "Admission"
    attempt: Attempt
    begun_ns: int
    ended_ns: int


@dataclass(slots=True)
class Call:
    """One request and the protocol to answer it with."""

    scope: Scope
    protocol: HTTPProtocol
    match: Match
    started_ns: int
    decision_id: UUID
    trace: tuple[str, str]
    facts: dict[str, str] = field(default_factory=dict)
    warning: str = ""
    """About headers of the caller's that are not known."""
    body: bytes = b""
    body_tokens: int | None = None
    """Tokens of the whole body, where they were counted."""
    affordable_output: int | None = None
    """Output tokens that a budget has room for, where it had none for more."""
    parts: list[Part] | None = None
    """The requests of a batch."""
    repeat: Repeat | None = None
    grant: Reviewed | None = None
    """The approval that lets it through."""
    inspected: Inspected | None = None
    """As `match.operation` reads it."""
    tried: list[Tried] = field(default_factory=list)
    waited_ns: int = 0
    """Time spent waiting for the provider."""


class Choice(NamedTuple):
    """A route that can do what is asked, and the model that it would be asked for."""

    route: Route
    operation: Operation
    model: str


@dataclass(slots=True)
class Judged:
    """A request that policy allows: what it asks, what was decided, where it would go."""

    live: Live
    inspected: Inspected
    route: Route
    operation: Operation
    """As this route's provider has it."""
    model: str
    """As it is asked of this route; empty where nothing is asked by model."""
    catalog_model: str
    """Its name in the price catalog."""
    decision: Decision
    most_nanousd: int
    """What it can cost; the configured ceiling where that is not known."""
    estimated_nanousd: int
    most_tokens: int
    has_ceiling: bool = False
    part: int = 0
    """Which request of a batch this is about; 0: all of it."""


@dataclass(slots=True)
class Admission:
    """A request that may leave: its reservation is held and durable."""

    judged: Judged
    reservation: Reservation
    held: Held
    spare: list[Choice]
    """What else may be tried where this fails."""


def begin(scope: Scope, protocol: HTTPProtocol, match: Match) -> Call:
    random = os.urandom(34)
    decision_id = uuid7(time.time_ns() // 1_000_000, random[24:])
    named = scope.headers.get("x-spendra-trace-id")
    trace = answers.trace_of(scope.headers.get("traceparent"), named, random)
    return Call(scope, protocol, match, time.perf_counter_ns(), decision_id, trace)


def refuse(call: Call, refusal: Refusal) -> None:
    """Answer with a refusal in the caller's protocol, before any byte of another answer."""
    decision_id = str(call.decision_id)
    headers = refusals.headers(refusal) + answers.identity(decision_id, call.trace)
    headers += answers.latency(call.started_ns, call.waited_ns)
    body = protocols.body(refusal, decision_id, call.match.protocol, listed=is_array(call))
    call.protocol.response_bytes(refusal.kind.status, headers, body)


def is_array(call: Call) -> bool:
    """Google's streams are JSON arrays unless `alt=sse` asks for events."""
    return call.match.operation.stream and "alt=sse" not in call.scope.query_string
