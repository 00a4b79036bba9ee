"""How the events of a stream are written: server-sent events, NDJSON, one JSON array."""

from collections.abc import Iterable

import msgspec

_encode = msgspec.json.encode
Event = dict[str, object]


def named(events: Iterable[Event]) -> list[bytes]:
    """Named server-sent events; the name is the event's own `type`."""
    return [b"event: %b\ndata: %b\n\n" % (str(e["type"]).encode(), _encode(e)) for e in events]


def data_crlf(events: Iterable[Event]) -> list[bytes]:
    """Data-only server-sent events whose lines end in CR LF, as Google writes them."""
    return [b"data: %b\r\n\r\n" % _encode(event) for event in events]


def ndjson(events: Iterable[Event]) -> list[bytes]:
    return [_encode(event) + b"\n" for event in events]


def array(events: list[Event]) -> list[bytes]:
    """One JSON array, a piece an element."""
    written = [_encode(event) for event in events]
    pieces = [b"[" + written[0], *(b",\r\n" + event for event in written[1:])]
    return [*pieces, b"\r\n]"]
