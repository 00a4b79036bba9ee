"""Sends a letter. What goes wrong is one short text that holds no secret and no answer's body."""

import time

import httpx

from spendra_control_plane.notices import letters
from spendra_control_plane.notices.letters import Letter
from spendra_control_plane.notices.mail import Mailer

TIMEOUT_S = 10.0
_USER_AGENT = "spendra-notices"


class SendError(Exception):
    """It did not arrive, or nobody said that it did."""


class Sender:
    """`mailer` None: this worker has no SMTP server to send by."""

    def __init__(self, mailer: Mailer | None) -> None:
        self._mailer = mailer
        # Redirects are not followed: they could lead what is signed for one address to another.
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, headers={"user-agent": _USER_AGENT})

    async def send(self, letter: Letter) -> None:
        """Raises SendError."""
        if letter.kind == "email":
            await self._mail(letter)
        elif letter.kind == "slack":
            body = letters.slack_body(letter.notice)
            await self._post(letter.address, body, {"content-type": "application/json"})
        else:
            body = letters.webhook_body(letter.notice)
            headers = letters.webhook_headers(letter, body, int(time.time()))
            await self._post(letter.address, body, headers)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        try:
            async with self._client.stream("POST", url, content=body, headers=headers) as answer:
                status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SendError(_said(error)) from None
        if not httpx.codes.is_success(status):
            msg = f"the receiver answered {status}"
            raise SendError(msg)

    async def _mail(self, letter: Letter) -> None:
        if self._mailer is None:
            msg = "this worker has no SPENDRA_SMTP_URL"
            raise SendError(msg)
        try:
            await self._mailer.send(letter)
        except self._mailer.errors as error:
            raise SendError(_said(error)) from None


def _said(error: Exception) -> str:
    """The kind of failure only: texts of errors may quote an address."""
    return f"it could not be sent: {type(error).__name__}"
