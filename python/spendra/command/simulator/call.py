"""One request as the protocols see it, and how they refuse it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from spendra.command.simulator.answer import Answer, Request
from spendra.command.simulator.journal import Entry
from spendra.command.simulator.shape import Shape
from spendra.command.simulator.store import Store

T = TypeVar("T")
Again = Callable[["Call"], Answer]
"""Answers another request as the provider would: one of a batch."""


class Refused(Exception):  # noqa: N818 (an answer, not a fault)
    """An error of the provider, written in the family's shape. `param`: the field at fault."""

    def __init__(self, status: int, message: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param = status, message, param


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`family` decides shapes; `words` are the named parts of the path."""

    request: Request
    shape: Shape
    entry: Entry
    family: str
    words: dict[str, str]
    store: Store
    now: int
    again: Again

    def decoded(self, kind: type[T]) -> T:
        """The JSON body. Refused where it is none, or not of that kind."""
        try:
            return msgspec.json.decode(self.request.body, type=kind)
        except msgspec.MsgspecError as broken:
            message = f"We could not parse the JSON body of your request: {broken}"
            raise Refused(400, message) from broken
