"""Why an operator's request cannot be done; each becomes one problem answer."""

from typing import NoReturn

KINDS = {
    "not_authenticated": (401, "Not authenticated"),
    "not_allowed": (403, "Not allowed"),
    "sign_in_failed": (403, "Not signed in"),
    "not_found": (404, "Not found"),
    "method_not_allowed": (405, "Method not allowed"),
    "conflict": (409, "Conflict"),
    "idempotency_in_flight": (409, "The first request with this key has not answered"),
    "changed_meanwhile": (412, "Changed meanwhile"),
    "invalid_request": (422, "Invalid request"),
    "idempotency_key_reused": (422, "The key belongs to another request"),
    "too_many_requests": (429, "Too many requests"),
    "internal_error": (500, "Internal error"),
    "database_unavailable": (503, "Database unavailable"),
}
"""Each `code` of a problem, with its status and title. Codes never change their meaning."""


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault
    """`code` is one of KINDS; `detail` is a sentence that says what to do."""

    def __init__(self, code: str, detail: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s


def refuse_missing(what: str, name: str) -> NoReturn:
    raise Refusal("not_found", f"There is no {what} {name!r} in this organization.")


def refuse_conflict(detail: str) -> NoReturn:
    raise Refusal("conflict", detail)


def refuse_invalid(detail: str) -> NoReturn:
    raise Refusal("invalid_request", detail)
