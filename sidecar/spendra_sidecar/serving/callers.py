"""What a request says about its caller: the key, and the scopes and labels its headers name."""

from typing import Protocol
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


def named_facts(headers: Headers) -> dict[str, str]:
    """Dimension to value, from `X-Spendra-*`. Refusal for labels that are not `name=value`."""
    facts: dict[str, str] = {}
    for header, dimension in _SCOPE_HEADERS.items():
        value = headers.get(header)
        if value:
            facts[dimension] = value
    labels = headers.get("x-spendra-labels")
    if labels:
        facts.update(_labels(labels))
    return facts


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
