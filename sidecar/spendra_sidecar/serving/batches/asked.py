"""The requests of a batch, read out of its body or of the file that it names. Rules only."""

from typing import NamedTuple

import msgspec

from spendra.providers import Operation, find
from spendra_sidecar.serving.refusals import Refusal

_MESSAGES = "messages_batches"


class Part(NamedTuple):
    """One request of a batch, as if it had been asked by itself. `number` counts from 1."""

    number: int
    operation: Operation
    body: bytes


class _Started(msgspec.Struct):
    """OpenAI's."""

    input_file_id: str


class _Line(msgspec.Struct):
    """Of OpenAI's file."""

    url: str
    body: msgspec.Raw


class _Request(msgspec.Struct):
    params: msgspec.Raw


class _Requests(msgspec.Struct):
    """Anthropic's."""

    requests: list[_Request]


def file_of(operation: Operation, body: bytes) -> str | None:
    """The file that holds the requests; None: the body does. Raises Refusal."""
    if operation.name == _MESSAGES:
        return None
    try:
        return msgspec.json.decode(body, type=_Started).input_file_id
    except msgspec.DecodeError as error:
        raise Refusal("body_invalid", f"The batch cannot be read: {error}.") from error


def inline(body: bytes) -> list[Part]:
    """Anthropic's requests. Raises Refusal."""
    try:
        requests = msgspec.json.decode(body, type=_Requests).requests
    except msgspec.DecodeError as error:
        raise Refusal("body_invalid", f"The batch cannot be read: {error}.") from error
    bodies = [bytes(request.params) for request in requests]
    return _some([Part(at, _asked("/v1/messages", at), body) for at, body in enumerate(bodies, 1)])


def lines(content: bytes) -> list[Part]:
    """Those of OpenAI's file: a JSON object in each line. Raises Refusal."""
    written = [line for line in content.splitlines() if line.strip()]
    return _some([_line(number, line) for number, line in enumerate(written, 1)])


def _line(number: int, text: bytes) -> Part:
    try:
        line = msgspec.json.decode(text, type=_Line)
    except msgspec.DecodeError as error:
        msg = f"Request {number} of the batch cannot be read: {error}."
        raise Refusal("body_invalid", msg) from error
    return Part(number, _asked(line.url, number), bytes(line.body))


def _asked(url: str, number: int) -> Operation:
    """What is asked at this path; Azure leaves `/v1` out."""
    path = url if url.startswith("/v1/") else f"/v1{url}"
    speaks_anthropic = path == "/v1/messages"
    match = find("POST", path, speaks_anthropic=speaks_anthropic, kind_of=lambda name: name)
    plain = match is not None and match.route is None
    if match is None or not plain or not match.operation.body or match.operation.form:
        msg = f"Request {number} of the batch asks {url!r}, whose cost is not metered."
        raise Refusal("route_unknown", msg)
    return match.operation


def _some(parts: list[Part]) -> list[Part]:
    if not parts:
        raise Refusal("body_invalid", "The batch has no requests.")
    return parts
