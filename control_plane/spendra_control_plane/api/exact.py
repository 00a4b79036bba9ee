"""Request bodies read exactly: a JSON number with a point becomes a Decimal, never a float."""

import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute


class ExactRequest(Request):
    """A request whose JSON keeps every digit."""

    async def json(self) -> Any:
        return json.loads(await self.body(), parse_float=Decimal, parse_constant=_no_constant)


class ExactRoute(APIRoute):
    """A route whose bodies are read by ExactRequest."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_exactly(request: Request) -> Response:
            return await handle(ExactRequest(request.scope, request.receive))

        return handle_exactly


def _no_constant(text: str) -> None:
    msg = f"{text} is not JSON"
    raise json.JSONDecodeError(msg, text, 0)
