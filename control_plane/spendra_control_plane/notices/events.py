"""The one table of events, and what each says to people. docs/alerts.md prints it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from spendra.money import nanousd_to_usd

NANOUSD: Final = "_nanousd"

RAISED: Final = {
    "budget.threshold": "a budget's window reached a share of its limit (`alert_at_percent`)",
    "budget.burn_rate": "at its pace a budget will be used up before its window ends",
    "budget.anomaly": "an hour cost far more than a budget's hours do",
    "spend.overrun": "a provider billed above the worst case that was held",
    "ledger.drift": "Redis differed from Postgres, and was rebuilt",
    "finance.month": "a month is over: what it cost, by cost center",
    "review.requested": "a request waits for a review",
    "ledger.lost": "a sidecar lost reservations; they stay held until they are ended",
}
"""Those that a worker looks for."""
EVENTS: Final = {
    **RAISED,
    "budget.requested": "somebody asked for a larger budget",
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
    return _TITLES[notice.event].format_map({"subject": notice.subject, **told(notice.facts)})


def told(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts, each amount twice, as everywhere in the API."""
    dollars = {
        name.removesuffix(NANOUSD) + "_usd": nanousd_to_usd(value)
        for name, value in facts.items()
        if name.endswith(NANOUSD) and value is not None
    }
    lists = {
        name: [told(one) for one in value]
        for name, value in facts.items()
        if isinstance(value, list)
    }
    return {**facts, **dollars, **lists}


_TITLES: Final = {
    "budget.threshold": "The budget {name!r} has spent {percent} % of ${limit_usd}.",
    "budget.burn_rate": (
        "At ${per_hour_usd} an hour the budget {name!r} of ${limit_usd} is used up at {used_up_at}."
    ),
    "budget.anomaly": (
        "The budget {name!r} spent ${cost_usd} in the hour from {hour}; ${usual_usd} is usual."
    ),
    "budget.requested": (
        "{asked_by} asks for ${wanted_usd}, not ${limit_usd}, for the budget {name!r}: {reason}"
    ),
    "finance.month": (
        "{subject} cost ${total_usd} for {requests} requests; the month before cost ${before_usd}."
    ),
    "review.requested": (
        "The key {key!r} asks for ${amount_usd} of {model!r}; it waits for a review as {subject}."
    ),
    "spend.overrun": "{subject} billed ${overrun_usd} more than was held, in the hour from {hour}.",
    "ledger.drift": "Balances in Redis differed from the ledger and were rebuilt from it.",
    "ledger.lost": "The sidecar {subject!r} lost {reservations} reservations of ${held_usd}.",
    "channel.test": "This is a test of the channel {channel!r}, asked for by {asked_by}.",
}
