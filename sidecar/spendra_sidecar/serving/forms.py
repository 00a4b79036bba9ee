"""Multipart forms (RFC 7578): the few fields that decide, without the file.

They are written down as a small JSON object, which is read like any other body.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from spendra_sidecar.serving.refusals import Refusal

_BOUNDARY: Final = re.compile(r'boundary="?([^";,]{1,200})"?', re.IGNORECASE)
_NAME: Final = re.compile(rb'[; ]name="([^"]*)"', re.IGNORECASE)
_FIELD_BYTES: Final = 4096
_KNOWN: Final = frozenset((b"model", b"n", b"stream"))


def summary(body: bytes, content_type: str) -> bytes:
    """Model, number of answers, stream and size of the file. Raises Refusal for no such form."""
    found: dict[str, object] = {"x": {"file_data": True}}
    size = 0
    for head, content in _parts(body, content_type):
        name = _NAME.search(head)
        if b"filename" in head.lower():
            size += len(content)
        elif name and name[1] in _KNOWN and len(content) <= _FIELD_BYTES:
            _note(found, name[1].decode(), content.decode("utf-8", "replace").strip())
    found["audio_bytes"] = size
    return msgspec.json.encode(found)


def _note(found: dict[str, object], name: str, text: str) -> None:
    if name in found:
        raise Refusal("form_invalid", f"The form has the field {name!r} twice.")
    if name == "n":
        if not text.isdecimal():
            raise Refusal("form_invalid", "The form's field 'n' must be a whole number.")
        found[name] = int(text)
    else:
        found[name] = text.lower() == "true" if name == "stream" else text


def _parts(body: bytes, content_type: str) -> Iterator[tuple[bytes, bytes]]:
    """Head and content of each part."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None or not content_type.lower().startswith("multipart/form-data"):
        msg = "The body must be multipart/form-data with a boundary, as the SDKs send it."
        raise Refusal("form_invalid", msg)
    mark = b"--" + boundary[1].encode("latin-1", "replace")
    at = body.find(mark)
    while at >= 0:
        begin = at + len(mark)
        if body[begin : begin + 2] == b"--":
            return
        end = body.find(b"\r\n" + mark, begin)
        head_end = body.find(b"\r\n\r\n", begin, end if end >= 0 else None)
        if end < 0 or head_end < 0:
            raise Refusal("form_invalid", "The multipart body is not whole.")
        yield body[begin:head_end], body[head_end + 4 : end]
        at = end + 2
    raise Refusal("form_invalid", "The multipart body is not whole.")
