"""What the OpenAPI document says of answers, and what tests are answered, held against each other.

SPENDRA_NOTE_ANSWERS=DIRECTORY python -m pytest tests/control_plane tests/notices tests/system
python -m tests.answers DIRECTORY

The first notes each answer of the control plane, the second makes the document's schemas and
examples of them (`answers.json`). In any other run a test fails on an answer that is not as
documented.
"""

import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx
import jsonschema_rs

from spendra_control_plane.api.answers import ANSWERS, PATH
from spendra_control_plane.api.app import ROOMS

MAPS: Final = frozenset(
    (
        "scope", "facts", "attributes", "before", "after", "labels", "manages", "claims", "rules",
        "model_names", "parameters", "unmetered_ceiling_usd", "details", "changed", "rates",
    )
)  # fmt: skip
"""Objects whose names are data."""
_SECRET: Final = re.compile(r"\b(sp[a-z]_\w{4})\w{12,}|\b(whsec_\w{4})[\w+/=]{12,}")
_LOCAL: Final = re.compile(r"http://127\.0\.0\.1:\d+")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_LONGEST_EXAMPLE: Final = 2500
_ROUTES: Final = [route for room in ROOMS for route in room.router.routes]
Types: TypeAlias = Mapping[str, set[str]]
_TYPES: Final = {
    bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null",
    list: "array", dict: "object",
}  # fmt: skip


def open_client(url: str, headers: dict[str, str]) -> httpx.Client:
    """One whose answers have to be as they are documented."""
    hooks = {"response": [hold]}
    return httpx.Client(base_url=url, headers=headers, timeout=20, event_hooks=hooks)


def hold(response: httpx.Response) -> None:
    """A hook for httpx clients: the answer is noted, or has to be as it is documented."""
    is_json = response.headers.get("content-type", "").startswith("application/json")
    name = operation(response.request.method, response.request.url.path)
    if not (response.is_success and is_json and name):
        return
    response.read()
    meet(name, response.json())


def operation(method: str, path: str) -> str:
    """Such as `GET /v1/keys/{key_id}`; empty for what is not of the document."""
    for route in _ROUTES:
        if method in route.methods and route.path_regex.match(path):
            return f"{method} {route.path_format}" if route.include_in_schema else ""
    return ""


def meet(name: str, answer: object, *, shows: bool = True) -> None:
    """One is noted, or checked. `shows`: it is fit for an example."""
    if directory := os.environ.get("SPENDRA_NOTE_ANSWERS"):
        _note(Path(directory), name, answer, shows=shows)
    else:
        check(name, answer)


def _note(directory: Path, name: str, answer: object, *, shows: bool) -> None:
    file = directory / f"{os.getpid()}.jsonl"
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps([name, answer, shows]) + "\n")


def check(name: str, answer: object) -> None:
    assert name in ANSWERS, f"{name} is not in answers.json: {__doc__}"
    problems = [
        f"{'.'.join(map(str, error.instance_path))}: {error.message}"
        for error in _validator(name).iter_errors(answer)
    ]
    assert not problems, f"{name} is not as documented: {problems}\n{__doc__}"


_validators: dict[str, Any] = {}


def _validator(name: str) -> Any:
    if name not in _validators:
        schema = _strict(ANSWERS[name]["schema"])
        _validators[name] = jsonschema_rs.Draft202012Validator(schema)
    return _validators[name]


def _strict(schema: Any) -> Any:
    """Without room for what is not documented. Whether something is null yet may be a matter of
    moments, which a test should not depend on."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _strict(each) for name, each in schema.items()}
    if isinstance(types := found.get("type"), str | list):
        found["type"] = sorted({"null", *([types] if isinstance(types, str) else types)})
    return {**found, "additionalProperties": False} if "properties" in schema else found


def inferred(values: list[Any], elsewhere: Types, name: str = "") -> dict[str, Any]:
    """The narrowest schema that all of these fit. What is null elsewhere under that name may be so
    here, and what was only seen as null is what it is there."""
    types = {_TYPES[type(value)] for value in values}
    types -= {"integer"} if "number" in types else set()
    if name:
        types |= elsewhere[name] if types <= {"null"} else elsewhere[name] & {"null"}
    if types <= {"null"}:
        return {}
    found: dict[str, Any] = {"type": types.pop() if len(types) == 1 else sorted(types)}
    objects = [value for value in values if isinstance(value, dict)]
    if objects and name not in MAPS:
        names = dict.fromkeys(each for value in objects for each in value)
        found["properties"] = {
            each: inferred([value[each] for value in objects if each in value], elsewhere, each)
            for each in names
        }
        found["required"] = [each for each in names if all(each in value for value in objects)]
    lists = [value for value in values if isinstance(value, list)]
    if lists:
        found["items"] = inferred([each for value in lists for each in value], elsewhere)
    texts = [value for value in values if isinstance(value, str)]
    if texts and all(map(_MOMENT.fullmatch, texts)):
        found["format"] = "date-time"
    return found


def types_by_name(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Of everything in an answer."""
    yield name, _TYPES[type(value)]
    if isinstance(value, dict) and name not in MAPS:
        for each, inner in value.items():
            yield from types_by_name(inner, each)
    elif isinstance(value, list):
        for inner in value:
            yield from types_by_name(inner)


def example(values: Iterable[Any]) -> Any:
    """The one that shows most and is not too long; its lists are cut, and its secrets."""
    shown = [json.dumps(_cut(value)) for value in values]
    fitting = [text for text in shown if len(text) <= _LONGEST_EXAMPLE]
    chosen = max(fitting, key=len) if fitting else min(shown, key=len)
    chosen = _LOCAL.sub("https://spendra.example.com", chosen)
    return json.loads(_SECRET.sub(lambda found: f"{found[1] or found[2]}…", chosen))


def _cut(value: Any) -> Any:
    """Of several objects the one that shows most; other lists as they are."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_cut(max(value, key=lambda each: len(json.dumps(each))))]
    if isinstance(value, dict):
        return {name: _cut(each) for name, each in value.items()}
    return value


def main(directory: str) -> None:
    seen: dict[str, list[Any]] = defaultdict(list)
    fit: dict[str, list[Any]] = defaultdict(list)
    for file in sorted(Path(directory).glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            name, answer, shows = json.loads(line)
            seen[name].append(answer)
            if shows:
                fit[name].append(answer)
    elsewhere: dict[str, set[str]] = defaultdict(set)
    for name, kind in types_by_name(list(seen.values())):
        elsewhere[name].add(kind)
    made = {
        name: {"example": example(fit[name] or answers), "schema": inferred(answers, elsewhere)}
        for name, answers in sorted(seen.items())
    }
    PATH.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", "utf-8")
    sys.stdout.write(f"{len(made)} operations\n")


if __name__ == "__main__":
    main(sys.argv[1])
