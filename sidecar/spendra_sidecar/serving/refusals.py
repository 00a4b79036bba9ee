"""The one table from refusal to answer. Bodies: `spendra_sidecar.serving.protocols`."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """`final`: repeating the same request soon cannot help, and SDKs are told not to."""

    status: int
    error_type: str
    final: bool


_AUTH = Kind(401, "authentication_error", final=True)
_INVALID = Kind(400, "invalid_request_error", final=True)
_DENIED = Kind(403, "permission_error", final=True)
_DUPLICATE = Kind(409, "invalid_request_error", final=True)
_AWAY = Kind(503, "enforcement_unavailable", final=False)

KINDS: dict[str, Kind] = {
    "key_missing": _AUTH,
    "key_malformed": _AUTH,
    "key_unknown": _AUTH,
    "key_revoked": _AUTH,
    "key_paused": _AUTH,
    "key_expired": _AUTH,
    "token_invalid": _AUTH,
    "body_invalid": _INVALID,
    "batch_unreadable": _INVALID,
    "header_invalid": _INVALID,
    "model_missing": _INVALID,
    "body_too_large": Kind(413, "invalid_request_error", final=True),
    "form_invalid": _INVALID,
    "route_unknown": Kind(404, "invalid_request_error", final=True),
    "route_incomplete": _DENIED,
    "model_not_allowed": _DENIED,
    "provider_not_allowed": _DENIED,
    "tool_not_allowed": _DENIED,
    "label_missing": _DENIED,
    "project_missing": _DENIED,
    "label_not_allowed": _DENIED,
    "vendor_not_allowed": _DENIED,
    "environment_not_allowed": _DENIED,
    "outside_hours": _DENIED,
    "review_required": _DENIED,
    "scope_conflict": _DENIED,
    "input_too_large": _DENIED,
    "input_unbounded": _DENIED,
    "request_too_expensive": _DENIED,
    "unpriced_model": _DENIED,
    "no_provider_route": _DENIED,
    "spending_frozen": _DENIED,
    "budget_exhausted": Kind(402, "insufficient_quota", final=True),
    "rate_limited": Kind(429, "rate_limit_exceeded", final=False),
    "concurrency_limited": Kind(429, "rate_limit_exceeded", final=False),
    "tokens_over_limit": _DENIED,
    "duplicate_in_flight": _DUPLICATE,
    "duplicate_ended": _DUPLICATE,
    "idempotency_key_reused": Kind(422, "invalid_request_error", final=True),
    "ledger_unavailable": _AWAY,
    "issuer_unavailable": _AWAY,
    "snapshot_missing": _AWAY,
    "snapshot_stale": _AWAY,
    "dispatch_too_late": _AWAY,
    "shutting_down": _AWAY,
    "credential_unavailable": Kind(502, "upstream_error", final=False),
    "upstream_unreachable": Kind(502, "upstream_error", final=False),
    "upstream_cut": Kind(502, "upstream_error", final=False),
    "upstream_timeout": Kind(504, "upstream_error", final=False),
}


@dataclass
class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """An answer other than the provider's. `details` are shown beside the message."""

    code: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)
    retry_after_ms: int | None = None

    @property
    def kind(self) -> Kind:
        return KINDS[self.code]


def headers(refusal: Refusal) -> list[tuple[str, str]]:
    found = [("content-type", "application/json")]
    if refusal.kind.final:
        found.append(("x-should-retry", "false"))
    if refusal.retry_after_ms is not None:
        found.append(("retry-after", str(-(-refusal.retry_after_ms // 1000))))
        found.append(("retry-after-ms", str(refusal.retry_after_ms)))
    return found
