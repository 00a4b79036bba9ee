"""What a request says about its caller: the key, and the scopes and labels its headers name."""

from difflib import get_close_matches
from typing import NamedTuple, Protocol
from urllib.parse import parse_qs, unquote

from spendra.scopes import LABEL_PREFIX
from spendra_sidecar.serving.refusals import Refusal

_SCOPE_HEADERS = {
    "x-spendra-department": "team",
    "x-spendra-project": "project",
    "x-spendra-run-id": "run",
    "x-spendra-parent-id": f"{LABEL_PREFIX}parent",
    "x-spendra-template": f"{LABEL_PREFIX}template",
}
_OTHERS = frozenset(
    (
        "x-spendra-key", "x-spendra-labels", "x-spendra-trace-id", "x-spendra-trailer",
        "x-spendra-route", "x-spendra-cache",
    )
)  # fmt: skip
"""Read elsewhere, and `cache`: nothing is cached here, so that skipping it is what happens."""
_MOST_NAMED = 3
_LONGEST_NAME = 60
_NEVER_FORWARDED = frozenset(
    (
        "authorization", "x-api-key", "api-key", "x-goog-api-key", "host", "content-length",
        "connection", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade", "expect", "cookie",
    )
)  # fmt: skip


Pairs = list[tuple[str, str]]


class Headers(Protocol):
    """granian's request headers: names in lower case."""

    def get(self, key: str, default: str | None = None) -> str | None: ...
    def items(self) -> list[tuple[str, str]]: ...


def presented_key(headers: Headers, query: str) -> str:
    """The caller's key, wherever its SDK puts it. `X-Spendra-Key` wins over all."""
    own = headers.get("x-spendra-key")
    if own:
        return own
    bearer = headers.get("authorization") or ""
    if bearer[:7].lower() == "bearer ":
        return bearer[7:].strip()
    for name in ("x-api-key", "api-key", "x-goog-api-key"):
        value = headers.get(name)
        if value:
            return value
    if "key=" in query:
        return parse_qs(query).get("key", [""])[0]
    return ""


class Named(NamedTuple):
    """Dimension to value; and a sentence about names that are not known, else empty."""

    facts: dict[str, str]
    warning: str


def named(headers: Headers) -> Named:
    """From `X-Spendra-*`; of one that comes twice, the first counts. Refusal for labels that are
    not `name=value`."""
    facts: dict[str, str] = {}
    labels, unknown = "", []
    for name, value in headers.items():
        if name.startswith("x-spendra-"):
            dimension = _SCOPE_HEADERS.get(name)
            if dimension is not None and value:
                facts.setdefault(dimension, value)
            elif name == "x-spendra-labels":
                labels = labels or value
            elif dimension is None and name not in _OTHERS:
                unknown.append(name)
    if labels:
        facts.update(_labels(labels))
    return Named(facts, "; ".join(map(_unknown, unknown[:_MOST_NAMED])))


def _unknown(name: str) -> str:
    near = get_close_matches(name, (*_SCOPE_HEADERS, *_OTHERS), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{name[:_LONGEST_NAME]} is not known and was ignored{hint}"


def forwarded(headers: Headers, credential: tuple[str, str], *, identity: bool) -> Pairs:
    """The headers that go upstream: the caller's own, less its credentials, plus the provider's."""
    kept = [
        (name, value)
        for name, value in headers.items()
        if name not in _NEVER_FORWARDED
        and not name.startswith("x-spendra-")
        and not (identity and name == "accept-encoding")
    ]
    if identity:
        kept.append(("accept-encoding", "identity"))
    if credential[0]:
        kept.append(credential)
    return kept


def forwarded_query(query: str) -> str:
    """The query as it came, less the caller's key."""
    if "key=" not in query:
        return query
    parts = [part for part in query.split("&") if unquote(part.partition("=")[0]) != "key"]
    return "&".join(parts)


def _labels(text: str) -> dict[str, str]:
    facts = {}
    for pair in text.split(","):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip() or not value.strip():
            msg = f"X-Spendra-Labels takes name=value, separated by commas, not {pair.strip()!r}."
            raise Refusal("header_invalid", msg)
        facts[LABEL_PREFIX + name.strip()] = value.strip()
    return facts
