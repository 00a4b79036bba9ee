"""From a caller's method and path to the operation that is meant. Compiled once, at import."""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from spendra.providers.table import COMPATIBLE, PROVIDERS, row
from spendra.providers.words import Operation, Protocol, Provider

_PLACE: Final = re.compile(r"\{(\w+)\}")
_PATH_BYTES: Final = 2048


class Match(NamedTuple):
    """`route`: the provider or route that the path names; None: whichever serves the model.

    `protocol`: whose SDK asks.
    """

    operation: Operation
    route: str | None
    values: dict[str, str]
    protocol: Protocol


class _Index:
    """The operations of one surface: exact paths in a dictionary, the others by pattern."""

    def __init__(self) -> None:
        self._exact: dict[tuple[str, str], Operation] = {}
        self._patterns: dict[str, list[tuple[re.Pattern[str], Operation]]] = {}

    def add(self, path: str, operation: Operation) -> None:
        if "{" not in path:
            self._exact.setdefault((operation.method, path), operation)
            return
        found = self._patterns.setdefault(operation.method, [])
        found.append((_pattern(path), operation))

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact, {}
        for pattern, operation in self._patterns.get(method, ()):
            found = pattern.fullmatch(path)
            if found:
                return operation, found.groupdict()
        return None


def _pattern(path: str) -> re.Pattern[str]:
    """A place takes one segment, and no colon, which parts Google's verbs from models."""
    parts = _PLACE.split(path)
    texts = [re.escape(part) for part in parts[::2]]
    places = [f"(?P<{name}>[^/:?#]+)" for name in parts[1::2]] + [""]
    return re.compile("".join(text + place for text, place in zip(texts, places, strict=True)))


def _native(provider: Provider) -> _Index:
    """Under `/v1/{provider}`: the provider's own paths, and those less what its SDKs leave out."""
    index = _Index()
    for operation in provider.operations:
        index.add(operation.path, operation)
    for base in provider.bases:
        for operation in provider.operations:
            if operation.path.startswith(f"{base}/"):
                index.add(operation.path.removeprefix(base), operation)
    for operation in provider.operations:
        if not operation.path.startswith("/v1/") and "/v1" not in provider.bases:
            index.add(f"/v1{operation.path}", operation)
    return index


def _plain(name: str) -> _Index:
    index = _Index()
    for operation in PROVIDERS[name].operations:
        if operation.protocol in (None, PROVIDERS[name].protocol):
            index.add(operation.path, operation)
    return index


_NATIVE: Final = {name: _native(provider) for name, provider in PROVIDERS.items()}
_OPENAI: Final = _plain("openai")
_ANTHROPIC: Final = _plain("anthropic")
_PLAIN_PROTOCOL: Final[dict[Operation, Protocol]] = {
    operation: PROVIDERS[name].protocol
    for name in ("openai", "anthropic")
    for operation in PROVIDERS[name].operations
}
_CHAT: Final = {
    name: next((each for each in provider.operations if each.name == "chat"), None)
    for name, provider in PROVIDERS.items()
}
_OWN: Final = {
    name: {(each.name, each.method): each for each in reversed(provider.operations)}
    for name, provider in PROVIDERS.items()
}


def find(
    method: str, path: str, *, speaks_anthropic: bool, kind_of: Callable[[str], str]
) -> Match | None:
    """None: nothing here, so it does not leave.

    `speaks_anthropic`: the request carries `anthropic-version`, which tells apart the paths that
    both SDKs use. `kind_of`: the table's row of a route that operators named.
    """
    if len(path) > _PATH_BYTES or not path.startswith("/v1/"):
        return None
    first, second = (_ANTHROPIC, _OPENAI) if speaks_anthropic else (_OPENAI, _ANTHROPIC)
    found = first.find(method, path) or second.find(method, path)
    if found:
        operation, values = found
        protocol = operation.protocol or _PLAIN_PROTOCOL[operation]
        return Match(operation, None, values, protocol)
    return _named(method, path[len("/v1/") :], kind_of)


def _named(method: str, rest: str, kind_of: Callable[[str], str]) -> Match | None:
    name, _, tail = rest.partition("/")
    if name == "providers":
        name, _, tail = tail.partition("/")
        chat = _CHAT[row(kind_of(name)).name]
        is_chat = tail == "chat/completions" and method == "POST"
        return Match(chat, name, {}, "openai") if chat and is_chat else None
    kind = row(kind_of(name))
    found = _NATIVE[kind.name].find(method, f"/{tail}")
    return None if found is None else _native_match(found, name, kind)


def _native_match(found: tuple[Operation, dict[str, str]], name: str, kind: Provider) -> Match:
    operation, values = found
    return Match(operation, name, values, operation.protocol or kind.protocol)


def unmatched(method: str, path: str, kind_of: Callable[[str], str]) -> Match:
    """What a path that is not in the table comes to, if a route lets it through at a ceiling."""
    name, _, tail = path.removeprefix("/v1/").partition("/")
    kind = row(kind_of(name))
    named = kind.name != COMPATIBLE or kind_of(name) != name
    own = f"/{tail}" if named else path
    operation = Operation(
        name="unmetered", method=method, path=own.replace("{", "").replace("}", "")
    )
    return Match(operation, name if named else None, {}, kind.protocol if named else "openai")


def own_operation(kind: str, operation: Operation) -> Operation | None:
    """What another provider calls the same operation; None where it has none such."""
    return _OWN[row(kind).name].get((operation.name, operation.method))
