"""What is sent for one delivery, in each kind of channel's form. No I/O."""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from email.message import EmailMessage

import msgspec

from spendra.money import nanousd_to_usd
from spendra_control_plane.notices.events import NANOUSD, Notice, title, told


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One delivery. `address`: a URL, or an e-mail address; `signing`: a webhook's."""

    delivery_id: str
    kind: str
    address: str = field(repr=False)
    signing: bytes | None = field(repr=False, default=None)
    notice: Notice


def webhook_body(notice: Notice) -> bytes:
    """JSON as https://www.standardwebhooks.com asks for: `type`, `timestamp`, `data`."""
    data = {
        "org_id": notice.org_id,
        "notice_id": notice.id,
        "subject": notice.subject,
        "title": title(notice),
        **told(notice.facts),
    }
    timestamp = notice.raised_at.isoformat()
    return msgspec.json.encode({"type": notice.event, "timestamp": timestamp, "data": data})


def webhook_headers(letter: Letter, body: bytes, now_s: int) -> dict[str, str]:
    """The id stays the same in every attempt, so that a receiver can drop a repeat."""
    headers = {"content-type": "application/json", "webhook-id": letter.delivery_id}
    if letter.signing is not None:
        headers["webhook-timestamp"] = str(now_s)
        headers["webhook-signature"] = sign(letter.signing, letter.delivery_id, now_s, body)
    return headers


def sign(secret: bytes, message_id: str, now_s: int, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over id, timestamp and body, joined by dots."""
    signed = b".".join([message_id.encode(), str(now_s).encode(), body])
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def slack_body(notice: Notice) -> bytes:
    """Slack's incoming webhook, which Mattermost and others take too: one field, `text`."""
    lines = [f"*{_escaped(title(notice))}*", *(f"• {_escaped(line)}" for line in lines_of(notice))]
    return msgspec.json.encode({"text": "\n".join(lines)})


def mail(letter: Letter, sender: str) -> EmailMessage:
    """Plain text. Raises ValueError for an address that no header can hold."""
    notice, message = letter.notice, EmailMessage()
    message["From"] = sender
    message["To"] = letter.address
    message["Subject"] = " ".join(title(notice).split())[:200]
    message["Date"] = notice.raised_at
    message["Message-ID"] = f"<{letter.delivery_id}@{sender.rpartition('@')[2].rstrip('>')}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join([title(notice), "", *lines_of(notice), ""]))
    return message


def lines_of(notice: Notice) -> list[str]:
    """What is known, one thing a line; amounts in dollars."""
    lines = [("event", notice.event), ("subject", notice.subject)]
    for name, value in notice.facts.items():
        if isinstance(value, list):
            lines += [(name, ", ".join(_words(*pair) for pair in one.items())) for one in value]
        else:
            lines.append((name.removesuffix(NANOUSD), _words(name, value)))
    lines += [("raised at", notice.raised_at.isoformat()), ("notice", notice.id)]
    return [f"{name.replace('_', ' ')}: {value}" for name, value in lines]


def _words(name: str, value: object) -> str:
    """A fact's value; of an amount its dollars."""
    if name.endswith(NANOUSD) and isinstance(value, int):
        return f"${nanousd_to_usd(value)}"
    return str(value)


def _escaped(text: str) -> str:
    """https://docs.slack.dev/messaging/formatting-message-text: these three, and nothing else."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
