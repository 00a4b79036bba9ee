"""The life of a reservation: which event leads where. docs/ledger.md draws this table."""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """`given_up`: barred before it became durable. `posted` and `voided` are final outcomes."""

    UNKNOWN = "unknown"
    RESERVED = "reserved"
    LOST = "lost"
    POSTED = "posted"
    VOIDED = "voided"
    GIVEN_UP = "given_up"


class Event(StrEnum):
    RESERVE = "reserve"
    EXTEND = "extend"
    POST = "settle: post"
    VOID = "settle: void"
    GIVE_UP = "give up"
    LAPSE = "its sidecar's lease lapses"
    RULE = "rule for lost money"
    RELEASE = "operator releases"
    POST_BY_HAND = "operator posts"
    ADJUST = "adjustment"


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.UNKNOWN, Event.RESERVE): State.RESERVED,
    (State.UNKNOWN, Event.GIVE_UP): State.GIVEN_UP,
    (State.RESERVED, Event.EXTEND): State.RESERVED,
    (State.RESERVED, Event.POST): State.POSTED,
    (State.RESERVED, Event.VOID): State.VOIDED,
    (State.RESERVED, Event.GIVE_UP): State.VOIDED,
    (State.RESERVED, Event.LAPSE): State.LOST,
    (State.LOST, Event.POST): State.POSTED,
    (State.LOST, Event.VOID): State.VOIDED,
    (State.LOST, Event.GIVE_UP): State.VOIDED,
    (State.LOST, Event.RULE): State.POSTED,
    (State.LOST, Event.RELEASE): State.VOIDED,
    (State.LOST, Event.POST_BY_HAND): State.POSTED,
    (State.POSTED, Event.ADJUST): State.POSTED,
    (State.VOIDED, Event.ADJUST): State.VOIDED,
}
"""Every other event changes nothing: a repeat returns the first outcome."""


def after(state: State, event: Event) -> State:
    return TRANSITIONS.get((state, event), state)


def diagram() -> str:
    """As a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    for (state, event), following in TRANSITIONS.items():
        start = "[*]" if state is State.UNKNOWN else state.value
        lines.append(f"  {start} --> {following.value}: {event.value.replace(':', '')}")
    return "\n".join(lines)
