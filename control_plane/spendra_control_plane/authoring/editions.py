"""Which edition of a thing an edit was meant for: its ETag, checked under the change's lock."""

import hashlib
from typing import Any

import msgspec

from spendra_control_plane.authoring.refusals import Refusal

_DIGITS = 32


def etag(view: dict[str, Any]) -> str:
    """A strong validator (RFC 9110 8.8.3) over everything that is shown."""
    shown = msgspec.json.encode(view, order="deterministic")
    return f'"{hashlib.sha256(shown).hexdigest()[:_DIGITS]}"'


def check(if_match: str | None, view: dict[str, Any]) -> None:
    """Raises Refusal when the request was meant for another edition. None: for any."""
    if if_match is None or if_match.strip() == "*":
        return
    if etag(view) not in {one.strip() for one in if_match.split(",")}:
        detail = "It was changed since you read it; read it again and decide anew."
        raise Refusal("changed_meanwhile", detail)
