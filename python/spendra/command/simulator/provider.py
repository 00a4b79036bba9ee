"""The simulated provider: from a request to its answer, with no socket in sight."""

import time
from dataclasses import replace
from typing import Final

import msgspec

from spendra.command.simulator import chat
from spendra.command.simulator.answer import Answer, Headers, Request, error
from spendra.command.simulator.journal import Entry
from spendra.command.simulator.replay import Corpus
from spendra.command.simulator.shape import Shape

_OK: Final = 200
_MODELS: Final = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano")


class Provider:
    """Answers as OpenAI does; a corpus lets it answer as any provider did."""

    def __init__(self, corpus: Corpus | None = None) -> None:
        self._corpus = corpus
        self._decode = msgspec.json.Decoder(chat.ChatRequest).decode

    def answer(self, request: Request, shape: Shape, entry: Entry) -> Answer:
        """The answer; what the request asked for is noted in `entry`."""
        answer = self._answer(request, shape, entry)
        if shape.replay is None:
            headers = answer.headers + _provider_headers(entry.serial, shape)
            answer = replace(answer, headers=headers)
        entry.status = answer.status
        return answer

    def _answer(self, request: Request, shape: Shape, entry: Entry) -> Answer:
        if shape.replay is not None:
            return self._replayed(shape.replay)
        if request.path.endswith("/v1/chat/completions") and request.method == "POST":
            return self._chat(request, shape, entry)
        if shape.status != _OK:
            return error(shape.status)
        if request.path.endswith("/v1/models") and request.method == "GET":
            return _models()
        return error(404, f"Invalid URL ({request.method} {request.path})")

    def _replayed(self, case_id: str) -> Answer:
        recorded = self._corpus.answer(case_id) if self._corpus else None
        return recorded or error(400, f"x-simulate: no recorded answer {case_id!r} (see --replay)")

    def _chat(self, request: Request, shape: Shape, entry: Entry) -> Answer:
        try:
            asked = self._decode(request.body)
        except msgspec.MsgspecError as broken:
            return error(400, f"We could not parse the JSON body of your request: {broken}")
        entry.model, entry.max_tokens = asked.model, asked.output_limit
        entry.stream = bool(asked.stream)
        if not request.headers.get("authorization", "").startswith("Bearer "):
            return error(401, "You didn't provide an API key.")
        if shape.status != _OK:
            return error(shape.status)
        return _completion(asked, request.body, shape, entry.serial)


def _completion(asked: chat.ChatRequest, body: bytes, shape: Shape, serial: int) -> Answer:
    try:
        done = chat.complete(asked, body, shape, serial, int(time.time()))
    except ValueError as unreadable:
        return error(400, str(unreadable), param="messages")
    if asked.stream:
        kind, pieces = "text/event-stream; charset=utf-8", chat.streamed(done, shape)
    else:
        kind, pieces = "application/json", [chat.plain(done, shape)]
    headers = (("content-type", kind),)
    return Answer(status=_OK, headers=headers, pieces=pieces, streamed=bool(asked.stream))


def _provider_headers(serial: int, shape: Shape) -> Headers:
    return (
        ("openai-organization", "simulated"),
        ("openai-processing-ms", str(shape.delay_ms)),
        ("openai-version", "2020-10-01"),
        ("x-request-id", f"req_sim{serial:029d}"),
    )


def _models() -> Answer:
    models = [
        {"id": name, "object": "model", "created": 1715367049, "owned_by": "system"}
        for name in _MODELS
    ]
    body = msgspec.json.encode({"object": "list", "data": models})
    return Answer(status=_OK, headers=(("content-type", "application/json"),), pieces=[body])
