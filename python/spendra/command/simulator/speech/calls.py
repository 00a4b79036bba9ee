"""Tool calls: the arguments of a tool that a request forces, made up from the tool's schema."""

from typing import Any, Final

import msgspec


class Function(msgspec.Struct, frozen=True):
    """A tool: its name, and its arguments' JSON schema."""

    name: str = ""
    parameters: dict[str, Any] | None = None


class Tool(msgspec.Struct, frozen=True):
    function: Function = Function()


class NamedChoice(msgspec.Struct, frozen=True):
    """`tool_choice` as an object: this tool and no other."""

    function: Function = Function()


_MADE_UP: Final[dict[str, object]] = {
    "string": "water",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "array": [],
    "object": {},
    "null": None,
}


def named(functions: list[Function], name: str | None) -> Function | None:
    """The tool of that name, or the first one where none is named."""
    return next((f for f in functions if name in (None, f.name)), None)


def arguments(function: Function) -> str:
    """What the schema requires, made up; JSON."""
    schema = function.parameters or {}
    properties = schema.get("properties") or {}
    required = schema.get("required") or list(properties)
    made_up = {name: _made_up(properties.get(name) or {}) for name in required}
    return msgspec.json.encode(made_up).decode()


def _made_up(schema: dict[str, Any]) -> object:
    allowed = schema.get("enum")
    return allowed[0] if allowed else _MADE_UP.get(str(schema.get("type")).lower(), "water")
