"""The simulated provider: from a request to its answer, with no socket in sight."""

import time
from dataclasses import replace
from typing import Final

import msgspec

from spendra.command.simulator.answer import Answer, Request
from spendra.command.simulator.call import Call, Refused
from spendra.command.simulator.journal import Entry
from spendra.command.simulator.protocols import families, interactions, operations, responses
from spendra.command.simulator.protocols.chat import answer_id
from spendra.command.simulator.protocols.operations import Talk
from spendra.command.simulator.replay import Corpus
from spendra.command.simulator.shape import Shape
from spendra.command.simulator.speech import Speech, speak
from spendra.command.simulator.store import Store

_OK: Final = 200
_JSON: Final = (("content-type", "application/json"),)


class Provider:
    """Answers as each provider does; a corpus lets it answer as any of them did."""

    def __init__(self, corpus: Corpus | None = None) -> None:
        self._corpus = corpus
        self._store = Store()

    def answer(self, request: Request, shape: Shape, entry: Entry) -> Answer:
        """The answer; what the request asked for is noted in `entry`."""
        named = request.path.split("/", 2)[1]
        if shape.replay is not None:
            answer, entry.provider = self._replayed(shape.replay), named
        else:
            answer, family = self._answered(request, shape, entry, families.FAMILIES.get(named))
            headers = families.headers(family, entry.serial)
            answer = replace(answer, headers=answer.headers + headers)
            entry.provider = named if named in families.FAMILIES else family
        entry.status = answer.status
        return answer

    def _replayed(self, case_id: str) -> Answer:
        recorded = self._corpus.answer(case_id) if self._corpus else None
        missing = f"x-simulate: no recorded answer {case_id!r} (see --replay)"
        return recorded or families.error("openai", Refused(400, missing))

    def _answered(
        self, request: Request, shape: Shape, entry: Entry, named: str | None
    ) -> tuple[Answer, str]:
        found = operations.find(request.method, request.path)
        family = named or _family(request, found[0].family if found else "openai")
        call = Call(
            request=request,
            shape=shape,
            entry=entry,
            family=family,
            words=found[1] if found else {},
            store=self._store,
            now=int(time.time()),
            again=_again,
        )
        wrapped = family == "google" and request.path.endswith("/chat/completions")
        try:
            if found:
                families.check_credential(request, family)
            return _perform(call, found[0].does if found else None), family
        except Refused as refused:
            wrapped = wrapped or _in_an_array(request)
            return families.error(family, refused, wrapped=wrapped), family


def _family(request: Request, of_the_path: str) -> str:
    """Anthropic's SDK names its version in a header, also on paths that OpenAI has as well."""
    asks_anthropic = "anthropic-version" in request.headers and of_the_path == "openai"
    return "anthropic" if asks_anthropic else of_the_path


def _in_an_array(request: Request) -> bool:
    """Google's streams are arrays unless events are asked for."""
    streams = request.path.endswith(":streamGenerateContent")
    return streams and request.parameter("alt") != "sse"


def _perform(call: Call, does: Talk | operations.Handler | None) -> Answer:
    if isinstance(does, Talk):
        return _talk(call, does)
    if call.shape.status != _OK:
        raise Refused(call.shape.status)
    if does is None:
        raise Refused(404, f"Invalid URL ({call.request.method} {call.request.path})")
    return _written(does(call))


def _again(call: Call) -> Answer:
    """One request of a batch, answered; its errors are answers too."""
    found = operations.find(call.request.method, call.request.path)
    try:
        return _perform(call, found[0].does if found else None)
    except Refused as refused:
        return families.error(call.family, refused)


def _talk(call: Call, talk: Talk) -> Answer:
    if talk is operations.GEMINI and _in_an_array(call.request):
        talk = operations.GEMINI_ARRAY
    asked = talk.read(call)
    entry = call.entry
    entry.model, entry.max_tokens, entry.stream = asked.model, asked.limit, asked.stream
    if call.shape.status != _OK:
        raise Refused(call.shape.status)
    speech = speak(asked, call.shape, entry.serial, call.now)
    _remember(call, talk, speech)
    if asked.stream:
        return _streamed(call, talk, speech)
    body = talk.plain(speech, call.family)
    if asked.background:
        body = _queued(call, speech)
    return _written(body)


def _remember(call: Call, talk: Talk, speech: Speech) -> None:
    """What can be asked about later: OpenRouter's generation, a response."""
    if call.family == "openrouter":
        counts = {"input_tokens": speech.input_tokens, "output_tokens": speech.output_tokens}
        call.store.put(answer_id(speech, call.family), {"entry": call.entry, **counts})
    elif talk.name == "interaction":
        call.store.put(interactions.identity(speech), interactions.plain(speech, call.family))
    elif talk.name == "responses":
        call.store.put(responses.identity(speech), responses.plain(speech, call.family))


def _queued(call: Call, speech: Speech) -> dict[str, object]:
    later = responses.plain(speech, call.family)
    queued = responses.queued(speech)
    call.store.put(queued["id"], queued | {"later": later | {"background": True}})
    return queued


def _streamed(call: Call, talk: Talk, speech: Speech) -> Answer:
    pieces = talk.streamed(speech, call.family)
    if call.shape.error_after is not None:
        broken = families.stream_error(call.family, talk.name)
        pieces = [*pieces[: call.shape.error_after], broken]
    headers = (("content-type", talk.content_type),)
    return Answer(status=_OK, headers=headers, pieces=pieces, streamed=True)


def _written(body: object) -> Answer:
    if isinstance(body, Answer):
        return body
    return Answer(status=_OK, headers=_JSON, pieces=[msgspec.json.encode(body)])
