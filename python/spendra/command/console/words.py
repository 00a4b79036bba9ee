"""From words to a request: what can be asked is what the API's own document says. No I/O."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from spendra.arguments import EX_USAGE, CommandError

Json = Any
_PREFIX: Final = "/v1/"
_OF_ALL: Final = {"get": "list", "post": "create", "put": "put", "patch": "edit"}
_OF_ONE: Final = {"get": "get", "put": "put", "patch": "edit", "delete": "remove"}
_METHODS: Final = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    """`named`: it is about one thing, whose id comes first. `query`: names of parameters."""

    verb: str
    method: str
    path: str
    named: bool
    query: frozenset[str]
    schema: Mapping[str, Json]
    summary: str


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: Json = None


def resources(document: Json) -> list[str]:
    """What can be spoken of."""
    return sorted({path[len(_PREFIX) :].partition("/")[0] for path in _paths(document)})


def operations(document: Json, resource: str) -> dict[str, Operation]:
    """By verb. Raises CommandError for a resource that is none."""
    known = resources(document)
    if resource not in known:
        raise CommandError(EX_USAGE, f"there is no {resource!r}; {_hint(resource, known)}.")
    found: dict[str, Operation] = {}
    for path, method, said in _operations(document, resource):
        operation = _operation(document, path, method, said)
        verb = operation.verb if operation.verb not in found else f"{method}-{operation.verb}"
        found[verb] = operation
    return found


def request(known: Mapping[str, Operation], words: list[str], body: Json = None) -> Request:
    """From a verb, an id where there is one, and `name=value` words. `body`: from a file."""
    verb, *rest = words
    operation = known.get(verb)
    if operation is None:
        raise CommandError(EX_USAGE, f"there is no {verb!r}; {_hint(verb, list(known))}.")
    path = operation.path
    if operation.named:
        if not rest or "=" in rest[0]:
            raise CommandError(EX_USAGE, f"{verb} needs the id of what it is about.")
        start, _, end = path.partition("{")
        path, rest = start + rest[0] + end.partition("}")[2], rest[1:]
    pairs = [_pair(word) for word in rest]
    # Without a body everything is of the query: the API says which names it does not know.
    params = {n: text for n, text in pairs if n in operation.query or not operation.schema}
    for name, text in pairs:
        if name not in params:
            body = _put(body, name.split("."), text, operation.schema)
    if operation.method in {"post", "put", "patch"} and operation.schema and body is None:
        body = {}
    return Request(operation.method.upper(), path, params, body)


def usage(name: str, known: Mapping[str, Operation]) -> str:
    """What can be said, a verb a line."""
    lines = []
    for verb, operation in known.items():
        fields = [*operation.schema.get("properties", {}), *sorted(operation.query)]
        about = " ID" if operation.named else ""
        said = " ".join(f"[{each}=…]" for each in fields)
        lines.append(f"  spendra {name} {verb}{about} {said}".rstrip())
        if operation.summary:
            lines.append(f"      {operation.summary}")
    return "\n".join(lines)


def _paths(document: Json) -> list[str]:
    return [path for path in document["paths"] if path.startswith(_PREFIX)]


def _operations(document: Json, resource: str) -> Iterator[tuple[str, str, Json]]:
    for path in _paths(document):
        if path[len(_PREFIX) :].partition("/")[0] == resource:
            for method in _METHODS:
                if method in document["paths"][path]:
                    yield path, method, document["paths"][path][method]


def _operation(document: Json, path: str, method: str, said: Json) -> Operation:
    _, *parts = path[len(_PREFIX) :].split("/")
    named = bool(parts) and parts[0].startswith("{")
    rest = parts[1:] if named else parts
    verb = "-".join(rest) or (_OF_ONE if named else _OF_ALL).get(method, method)
    content = said.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = _resolved(document, content.get("schema", {}))
    parameters = said.get("parameters", [])
    query = frozenset(each["name"] for each in parameters if each["in"] == "query")
    summary = str(said.get("description", "")).partition("\n")[0]
    return Operation(verb, method, path, named, query, schema, summary)


def _resolved(document: Json, schema: Json) -> Json:
    """References followed, one level of properties down; of what may be null, what it is else."""
    found = _followed(document, schema)
    properties = {
        name: _followed(document, each) for name, each in found.get("properties", {}).items()
    }
    return {**found, "properties": properties} if properties else found


def _followed(document: Json, schema: Json) -> Json:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    choices = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    return _followed(document, choices[0]) if choices else schema


def _pair(word: str) -> tuple[str, str]:
    name, found, text = word.partition("=")
    if not found or not name:
        msg = f"{word!r} is no field; write it as name=value."
        raise CommandError(EX_USAGE, msg)
    return name, text


def _put(body: Json, names: list[str], text: str, schema: Json) -> Json:
    """The body with one more field; `scope.project` is one of an object."""
    first, *rest = names
    within = {} if body is None else body
    found = schema.get("properties", {}).get(first, schema.get("additionalProperties") or {})
    value = _put(within.get(first), rest, text, found) if rest else _read(text, found)
    return {**within, first: value}


def _read(text: str, schema: Json) -> Json:
    """As the field wants it. What is not known is sent as a text: the API knows better."""
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if text == "null":
        return None
    if kind == "array" and not text.startswith("["):
        items = schema.get("items", {})
        return [_read(part, items) for part in text.split(",") if part]
    if kind in {"array", "object", "integer", "number", "boolean"}:
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    return text


def _hint(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = get_close_matches(word, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
