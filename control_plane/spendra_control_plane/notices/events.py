"""The one table of events, and what each says to people. docs/alerts.md prints it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

EVENTS: Final = {
    "channel.test": "somebody tried a channel",
}
"""Each event that a notice can be of, with what it means. Names never change their meaning."""


class Notice(NamedTuple):
    """`subject` is what it is about, `facts` what is known of it: JSON, amounts in nano-USD."""

    id: str
    org_id: str
    raised_at: datetime
    event: str
    subject: str
    facts: Mapping[str, Any]


def unknown(wishes: Iterable[str]) -> list[str]:
    """Those that name no event: neither one of EVENTS, nor `budget.*` and the like, nor `*`."""
    groups = {name.partition(".")[0] + ".*" for name in EVENTS}
    return [wish for wish in wishes if wish not in EVENTS and wish not in groups and wish != "*"]


def title(notice: Notice) -> str:
    """One sentence for people, without markup."""
    return _TITLES[notice.event].format_map(notice.facts)


_TITLES: Final = {
    "channel.test": "This is a test of the channel {channel!r}, asked for by {asked_by}.",
}
