"""Keyset pages: a cursor names the last item that was seen."""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import Depends, Query

from spendra_control_plane.api.exact import is_storable
from spendra_control_plane.authoring.refusals import refuse_invalid

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000
_LONGEST_NUMBER = 18
NOT_OURS = "The cursor is not one that this route gave; start again without it."

Cursor = Annotated[str, Query(max_length=2000, description="`next_cursor` of the page before")]
Limit = Annotated[int, Query(ge=1, le=LARGEST_LIMIT)]


class Asked:
    """Which page was asked for."""

    def __init__(self, cursor: Cursor = "", limit: Limit = DEFAULT_LIMIT) -> None:
        self._cursor = cursor
        self._limit = limit

    @property
    def fetch(self) -> int:
        """How many items to read: one more than the page, to see whether there is another."""
        return self._limit + 1

    def after(self) -> str:
        """The text key of the last item seen; empty at the start."""
        key = self.keys(1)
        return key[0] if key else ""

    def keys(self, length: int) -> list[str]:
        """The keys of the last item seen; empty at the start. Raises Refusal for a bad cursor."""
        return decode(self._cursor, length)

    def place(self) -> tuple[datetime, UUID] | None:
        """Moment and id of the last item seen; None at the start."""
        return read_place(self._cursor)

    def moment(self) -> datetime | None:
        """Of the last item seen; None at the start."""
        keys = self.keys(1)
        return _moment(keys[0]) if keys else None

    def after_uuid(self) -> UUID | None:
        """As `after`, of items whose key is a UUID; None at the start."""
        key = self.after()
        return _uuid(key) if key else None

    def after_number(self) -> int | None:
        """As `after`, of items whose key is a number; None at the start."""
        key = self.after()
        if key and not (key.isascii() and key.isdigit() and len(key) <= _LONGEST_NUMBER):
            refuse_invalid(NOT_OURS)
        return int(key) if key else None

    def page(self, items: list[dict[str, Any]], *columns: str) -> dict[str, Any]:
        """`items` and `next_cursor`; `columns` name the keys by which they are ordered."""
        shown = items[: self._limit]
        more = len(items) > self._limit
        return {
            "items": shown,
            "next_cursor": encode([_text(shown[-1][column]) for column in columns])
            if more
            else None,
        }


def decode(cursor: str, length: int) -> list[str]:
    """What `encode` was given; nothing for an empty text. Raises Refusal for a bad cursor."""
    if not cursor:
        return []
    try:
        keys = msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=list[str])
    except (binascii.Error, msgspec.DecodeError, ValueError):
        keys = []
    if len(keys) != length or not all(is_storable(key) for key in keys):
        refuse_invalid(NOT_OURS)
    return keys


def read_place(cursor: str) -> tuple[datetime, UUID] | None:
    """A cursor that names a moment and an id; None at the start."""
    keys = decode(cursor, 2)
    return (_moment(keys[0]), _uuid(keys[1])) if keys else None


def cursor_of(place: tuple[datetime, UUID] | None) -> str | None:
    """The other way round."""
    return encode([place[0].isoformat(), str(place[1])]) if place else None


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        refuse_invalid(NOT_OURS)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        refuse_invalid(NOT_OURS)


def encode(keys: Sequence[str]) -> str:
    """An opaque cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(keys)).decode()


def _text(key: object) -> str:
    return key.isoformat() if isinstance(key, datetime) else str(key)


Paging = Annotated[Asked, Depends(Asked)]
