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
        if not self._cursor:
            return []
        try:
            keys = msgspec.json.decode(base64.urlsafe_b64decode(self._cursor), type=list[str])
        except (binascii.Error, msgspec.DecodeError, ValueError):
            keys = []
        if len(keys) != length or not all(is_storable(key) for key in keys):
            refuse_invalid(NOT_OURS)
        return keys

    def after_uuid(self) -> UUID | None:
        """As `after`, of items whose key is a UUID; None at the start."""
        key = self.after()
        try:
            return UUID(key) if key else None
        except ValueError:
            refuse_invalid(NOT_OURS)

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


def encode(keys: Sequence[str]) -> str:
    """An opaque cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(keys)).decode()


def _text(key: object) -> str:
    return key.isoformat() if isinstance(key, datetime) else str(key)


Paging = Annotated[Asked, Depends(Asked)]
