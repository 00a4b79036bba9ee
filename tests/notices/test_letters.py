"""What is sent, and the settings of the mail server."""

import base64
from datetime import UTC, datetime

import pytest

from spendra_control_plane.notices.events import EVENTS, Notice, unknown
from spendra_control_plane.notices.letters import Letter, lines_of, mail, sign
from spendra_control_plane.notices.mail import read_mailer


def notice(**facts: object) -> Notice:
    told = {"channel": "c", "asked_by": "ada", **facts}
    return Notice("n1", "org_x", datetime(2026, 11, 25, tzinfo=UTC), "channel.test", "chn", told)


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of the reference libraries of https://www.standardwebhooks.com."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signed = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_amounts_are_told_in_dollars() -> None:
    assert "cost: $0.50" in lines_of(notice(cost_nanousd=500_000_000))


def test_a_list_is_told_a_line_each() -> None:
    centers = [{"cost_center": "ops", "total_nanousd": 5 * 10**8}, {"cost_center": "web"}]
    lines = lines_of(notice(cost_centers=centers))
    assert [line for line in lines if line.startswith("cost centers")] == [
        "cost centers: ops, $0.50",
        "cost centers: web",
    ]


def test_a_name_cannot_add_a_header() -> None:
    letter = Letter(
        delivery_id="d",
        kind="email",
        address="a@example.com",
        notice=notice(channel="x\r\nBcc: b@c.d"),
    )
    message = mail(letter, "Spendra <s@example.com>")
    assert message["Bcc"] is None
    assert message["Message-ID"] == "<d@example.com>"


@pytest.mark.parametrize("url", ["http://x", "smtp://", "smtp://host/path", "smtps:host"])
def test_a_mail_server_that_is_none_is_named(url: str) -> None:
    with pytest.raises(ValueError, match="SPENDRA_SMTP_URL"):
        read_mailer(url, "s@example.com")


def test_a_mail_server_needs_a_sender() -> None:
    with pytest.raises(ValueError, match="SPENDRA_MAIL_FROM"):
        read_mailer("smtp://host", "")


def test_a_mail_servers_user_and_port_are_read() -> None:
    made = read_mailer("smtps://ada:p%40ss@host", "s@example.com")
    assert (made.username, made.password, made.port) == ("ada", "p@ss", 465)
    assert "p@ss" not in repr(made)


def test_a_wish_names_an_event_or_a_kind_of_them() -> None:
    assert unknown([*EVENTS, "channel.*", "*"]) == []
    assert unknown(["channel", "*.test", ""]) == ["channel", "*.test", ""]
