"""Access tokens of a Google service account, by google-auth over httpx."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from google.auth import transport
from google.oauth2 import service_account

_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
_LASTS_S: Final = 3600.0
"""What is asked for in the assertion, and what counts where the answer does not say."""


class _Response(transport.Response):
    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer

    @property
    def status(self) -> int:
        return self._answer.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._answer.headers

    @property
    def data(self) -> bytes:
        return self._answer.content


class _Request(transport.Request):
    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the client has one
        **_: Any,
    ) -> _Response:
        return _Response(self._client.request(method, url, content=body, headers=headers))


def fetch(source: dict[str, Any], timeout_s: float) -> tuple[str, float]:
    """A token and how many seconds it lasts. Blocks; raises google-auth's and httpx's errors."""
    account = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
        source, scopes=_SCOPES
    )
    with httpx.Client(timeout=timeout_s) as client:
        account.refresh(_Request(client))
    return str(account.token), _lasts_s(account.expiry)


def _lasts_s(expiry: datetime | None) -> float:
    """Less than was asked for may be given. google-auth's times have no zone: they are UTC."""
    if expiry is None:
        return _LASTS_S
    return (expiry.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()
