"""What a request asks, read out of its body and its path; nothing here does anything."""

from typing import NamedTuple

from spendra._hot import HotError, Inspected, inspect
from spendra.providers import Match, Operation
from spendra_sidecar.serving import forms
from spendra_sidecar.serving.call import Call
from spendra_sidecar.serving.refusals import Refusal

_NOTHING = inspect(b'{"input":{"file_data":1}}', "openai_embeddings")
"""A request that is not read: nothing bounds it but a ceiling."""


class Asked(NamedTuple):
    """`model` as the caller calls it; empty where the request has none."""

    inspected: Inspected
    model: str


def asked(call: Call) -> Asked:
    """Raises Refusal for a body that cannot be read."""
    if call.inspected is None:
        call.inspected = read(call, call.match.operation)
    model = call.match.values.get("model") or call.inspected.model
    return Asked(call.inspected, model or call.match.operation.model)


def read(call: Call, operation: Operation) -> Inspected:
    """The body as this operation reads it."""
    if not operation.body:
        return _NOTHING
    body = call.body
    if operation.form:
        body = forms.summary(body, call.scope.headers.get("content-type") or "")
    try:
        return inspect(body, operation.body)
    except HotError as error:
        raise Refusal("body_invalid", f"The request body cannot be read: {error}.") from error


def is_stream(match: Match, inspected: Inspected) -> bool:
    return match.operation.stream or inspected.stream
