"""Tool calls: which tool a request forces, and its arguments, made up from the tool's schema."""

from typing import Any, Final

import msgspec


class Function(msgspec.Struct, frozen=True):
    name: str = ""
    parameters: dict[str, Any] | None = None


class Tool(msgspec.Struct, frozen=True):
    function: Function = Function()


class NamedChoice(msgspec.Struct, frozen=True):
    """`tool_choice` as an object: this tool and no other."""

    function: Function = Function()


class ToolCall(msgspec.Struct, frozen=True):
    id: str
    name: str
    arguments: str


_MADE_UP: Final[dict[str, object]] = {
    "string": "water",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "array": [],
    "object": {},
    "null": None,
}


def forced_call(
    tools: list[Tool] | None, choice: str | NamedChoice | None, index: int
) -> ToolCall | None:
    """The call that `tool_choice` (`required`, or a tool by name) leaves no way round."""
    if not tools or not (choice == "required" or isinstance(choice, NamedChoice)):
        return None
    named = choice.function.name if isinstance(choice, NamedChoice) else tools[0].function.name
    for function in (tool.function for tool in tools if tool.function.name == named):
        return ToolCall(f"call_sim{index:021d}", named, _arguments(function))
    return None


def _arguments(function: Function) -> str:
    schema = function.parameters or {}
    properties = schema.get("properties") or {}
    required = schema.get("required") or list(properties)
    made_up = {name: _made_up(properties.get(name) or {}) for name in required}
    return msgspec.json.encode(made_up).decode()


def _made_up(schema: dict[str, Any]) -> object:
    allowed = schema.get("enum")
    return allowed[0] if allowed else _MADE_UP.get(str(schema.get("type")), "water")


def whole(call: ToolCall, arguments: str) -> dict[str, object]:
    function = {"name": call.name, "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function}


def opening(call: ToolCall) -> dict[str, object]:
    return {"tool_calls": [{"index": 0, **whole(call, "")}]}


def piece(text: str) -> dict[str, object]:
    return {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}
