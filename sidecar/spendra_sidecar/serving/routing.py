"""Cheaper models in place of the one that was asked for, where a policy says so."""

from collections.abc import Iterator
from typing import NamedTuple

from spendra.snapshot import Mode
from spendra_sidecar.serving.call import Call, Choice, Judged

CHEAPER = "label:spendra.cheaper"
"""The model that would have been cheaper, where a policy only observes."""
_STRICTEST: tuple[Mode, ...] = ("enforce", "prefer_cheap", "observe")


class Said(NamedTuple):
    """What all policies that match say together: the strictest mode, every model they name."""

    mode: Mode
    models: list[str]


def said(call: Call, judged: Judged) -> Said | None:
    """None where nothing is to be looked for."""
    routing = judged.live.routing
    if not routing or judged.has_ceiling or not judged.decision.allowed:
        return None
    heard = [
        routing[reason.policy_id]
        for reason in judged.decision.reasons
        if reason.rule == "routing" and reason.policy_id in routing
    ]
    if not heard:
        return None
    mode = next(mode for mode in _STRICTEST if any(one.mode == mode for one in heard))
    if mode == "prefer_cheap" and call.scope.headers.get("x-spendra-route") == "skip":
        return None
    models = [model for one in heard for model in one.instead(judged.catalog_model)]
    return Said(mode, list(dict.fromkeys(models)))


def choices(call: Call, judged: Judged, models: list[str]) -> Iterator[Choice]:
    """Routes that can do the same with these models."""
    for model in models:
        found = judged.live.routes.serving(call.match, model)
        if found is not None and model != judged.model:
            yield Choice(*found, model)
