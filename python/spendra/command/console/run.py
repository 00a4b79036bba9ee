"""Asks the control plane, and writes its answer."""

import os
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import msgspec

from spendra.arguments import EX_UNAVAILABLE, EX_USAGE, CommandError, Parser
from spendra.command.announce import UP_FILE, Running
from spendra.command.console.words import Request, operations, request, resources, usage

_TIMEOUT_S: Final = 60.0
_REFUSED: Final = 1
_DESCRIPTION: Final = """\
Fields are name=value; of an object's, scope.project=checkout; lists are parted by commas. Where and
as whom: SPENDRA_CONTROL_PLANE_URL and SPENDRA_TOKEN, else what .spendra/up.json says.
"""


class Where(NamedTuple):
    url: str
    token: str


def run(resource: str | None, argv: list[str]) -> int:
    """Exit code: 0, 1 when it was refused, 64 for a wrong line, 69 when nobody answers."""
    name = resource or "api"
    asked = _parser(name, takes_resource=resource is None).parse_args(argv)
    at = where(Path(asked.up_file))
    with httpx.Client(base_url=at.url, timeout=_TIMEOUT_S) as client:
        document = _asked(client, Request("GET", "/openapi.json")).json()
        spoken_of = resource or asked.resource
        if spoken_of is None:
            _say("\n".join(resources(document)))
            return 0
        known = operations(document, spoken_of)
        words = asked.words or (["list"] if list(known) == ["list"] else [])
        if not words:
            _say(usage(name if resource else f"api {spoken_of}", known))
            return 0
        client.headers["authorization"] = f"Bearer {at.token}"
        if asked.if_match:
            client.headers["if-match"] = asked.if_match
        if asked.reason:
            client.headers["x-audit-reason"] = asked.reason
        wanted = request(known, words, _body(asked.body))
        answer = _asked(client, wanted)
        if asked.all and answer.is_success:
            return _every_page(client, wanted, answer)
    return _written(answer)


def _parser(name: str, *, takes_resource: bool) -> Parser:
    parser = Parser(f"spendra {name}", description=_DESCRIPTION)
    if takes_resource:
        parser.add_argument("resource", nargs="?", help="what it is about; left out: what there is")
    parser.add_argument(
        "words", nargs="*", metavar="VERB [ID] [FIELD=VALUE]", help="left out: what can be said"
    )
    parser.add_argument("--body", metavar="FILE", help="a JSON object; `-`: standard input")
    parser.add_argument("--if-match", metavar="ETAG", help="change only this edition")
    parser.add_argument("--reason", metavar="TEXT", help="why, for the audit")
    parser.add_argument("--all", action="store_true", help="every page of a list")
    parser.add_argument("--up-file", default=str(UP_FILE), metavar="FILE")
    return parser


def where(up_file: Path) -> Where:
    """By the environment, else what runs here. Raises CommandError."""
    url = os.environ.get("SPENDRA_CONTROL_PLANE_URL", "")
    token = os.environ.get("SPENDRA_TOKEN", "")
    if url and token:
        return Where(url, token)
    try:
        running = msgspec.json.decode(up_file.read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError):
        msg = (
            f"nothing runs here ({up_file} is not there): set SPENDRA_CONTROL_PLANE_URL and "
            "SPENDRA_TOKEN."
        )
        raise CommandError(EX_UNAVAILABLE, msg) from None
    return Where(url or running.control_plane_url, token or running.admin_token)


def _body(path: str | None) -> Any:
    if path is None:
        return None
    try:
        text = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        body = msgspec.json.decode(text, type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as error:
        raise CommandError(
            EX_USAGE, f"{path} is no JSON object that can be read: {error}"
        ) from None
    return body


def _asked(client: httpx.Client, wanted: Request) -> httpx.Response:
    try:
        return client.request(
            wanted.method, wanted.path, params=dict(wanted.params), json=wanted.body
        )
    except httpx.TransportError as error:
        msg = f"the control plane at {client.base_url} does not answer: {error}."
        raise CommandError(EX_UNAVAILABLE, msg) from None


def _every_page(client: httpx.Client, wanted: Request, first: httpx.Response) -> int:
    """One list of all items."""
    page = first.json()
    items = list(page.get("items", ()))
    while page.get("next_cursor"):
        params = {**wanted.params, "cursor": page["next_cursor"]}
        answer = _asked(client, Request(wanted.method, wanted.path, params))
        if not answer.is_success:
            return _written(answer)
        page = answer.json()
        items += page["items"]
    _say(_pretty({"items": items, "next_cursor": None}))
    return 0


def _written(answer: httpx.Response) -> int:
    if answer.is_success:
        found = answer.json() if answer.content else None
        if isinstance(found, dict) and "checks" in found:
            return _examined(found)
        _say("" if found is None else _pretty(found))
        return 0
    return refused(answer)


def refused(answer: httpx.Response) -> int:
    """Says why, in one line; the exit code."""
    try:
        problem = answer.json()
        said = f"{problem['title']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        said = f"the control plane answered {answer.status_code}"
    sys.stderr.write(f"{said}\n")
    return _REFUSED


def _examined(found: dict[str, Any]) -> int:
    """A line for each check, worst last, so that it is what is seen."""
    order = ("well", "look", "failing")
    checks = sorted(found["checks"], key=lambda check: order.index(check["state"]))
    _say("\n".join(f"{each['state']:8} {each['name']:11} {each['detail']}" for each in checks))
    return int(found["state"] == "failing")


def _pretty(found: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n" if text else "")
