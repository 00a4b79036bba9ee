"""Request bodies read exactly (a number with a point is a Decimal), and POSTs done once."""

import json
from collections.abc import Callable, Coroutine, Iterator
from decimal import Decimal
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from spendra_control_plane.api.repeats import Claim, Replayed
from spendra_control_plane.authoring.refusals import Refusal

_DID_NOTHING = (Refusal, RequestValidationError)


class ExactRequest(Request):
    """A request whose JSON keeps every digit."""

    async def json(self) -> Any:
        body = await self.body()
        read = json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
        if not all(is_storable(text) for text in _texts(read)):
            msg = "a text with a NUL or half a surrogate pair cannot be stored"
            raise json.JSONDecodeError(msg, "", 0)
        return read


class ExactRoute(APIRoute):
    """A route whose bodies are read by ExactRequest, and whose claims are closed."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_exactly(request: Request) -> Response:
            exact = ExactRequest(request.scope, request.receive)
            try:
                response = await handle(exact)
            except Replayed as answered:
                return answered.response
            except Exception as error:
                await _close(exact, None, error)
                raise
            await _close(exact, response, None)
            return response

        return handle_exactly


async def _close(request: Request, response: Response | None, error: Exception | None) -> None:
    claim: Claim | None = getattr(request.state, "claim", None)
    # After any other failure it may have been done: the key stays taken.
    if claim is not None and isinstance(error, (*_DID_NOTHING, type(None))):
        await claim.close(response)


def is_storable(text: str) -> bool:
    """Postgres takes any text but NUL and what is not Unicode."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _texts(read: Any) -> Iterator[str]:
    if isinstance(read, str):
        yield read
    elif isinstance(read, dict):
        for name, value in read.items():
            yield name
            yield from _texts(value)
    elif isinstance(read, list):
        for value in read:
            yield from _texts(value)


def _no_constant(text: str) -> None:
    msg = f"{text} is not JSON"
    raise json.JSONDecodeError(msg, text, 0)
