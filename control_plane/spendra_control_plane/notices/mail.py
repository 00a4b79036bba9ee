"""E-mail by SMTP."""

from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Final
from urllib.parse import unquote, urlsplit

import aiosmtplib

from spendra_control_plane.notices.letters import Letter, mail

_TIMEOUT_S: Final = 10.0
_PORTS: Final = {"smtp": 587, "smtps": 465, "smtp+plain": 25}


@dataclass(frozen=True, kw_only=True)
class Mailer:
    """`security`: `smtps` (TLS at once), `smtp` (STARTTLS, always), or `smtp+plain` (none)."""

    security: str
    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    sender: str

    errors = (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError)

    async def send(self, letter: Letter) -> None:
        """Raises one of `errors`."""
        await aiosmtplib.send(
            mail(letter, self.sender),
            hostname=self.host,
            port=self.port,
            username=self.username,
            password=self.password,
            use_tls=self.security == "smtps",
            start_tls=self.security == "smtp",
            timeout=_TIMEOUT_S,
        )


def read_mailer(url: str, sender: str) -> Mailer:
    """From `smtps://user:password@host:465` and the like. Raises ValueError with one sentence."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/"):
        msg = "SPENDRA_SMTP_URL must look like smtp://user:password@host:587, smtps:// or smtp+plain://"
        raise ValueError(msg)
    if "@" not in parseaddr(sender)[1]:
        msg = "SPENDRA_MAIL_FROM must be an e-mail address, beside SPENDRA_SMTP_URL"
        raise ValueError(msg)
    return Mailer(
        security=parts.scheme,
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        sender=sender,
    )
