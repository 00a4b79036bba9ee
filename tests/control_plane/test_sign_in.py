"""Signing in at an OpenID provider: who comes in, as what, and who does not."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import httpx
import pytest

from tests.control_plane.running import (
    ControlPlane,
    Organization,
    found_organization,
    migrate,
    settings,
    start_control_plane,
)
from tests.openid import OpenIdProvider
from tests.servers import Postgres, Server

PEOPLE = [
    {"sub": "1", "email": "Ada@Example.com", "email_verified": True},
    {"sub": "2", "email": "ben@example.com", "email_verified": False},
    {"sub": "3", "email": "eve@elsewhere.test", "email_verified": True},
    {"sub": "4", "email": "carl@example.com", "email_verified": True},
    {"sub": "5", "email": "dora@example.com"},
]


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    running = OpenIdProvider(*PEOPLE)
    yield running
    running.stop()


@pytest.fixture
def signing(org: Organization, provider: OpenIdProvider) -> Organization:
    """The organization, with the provider as its own."""
    body = {"issuer": provider.issuer, "client_id": "spendra", "client_secret": "very secret"}
    shown = org.ask("PUT", "/v1/sign-in", body)
    assert "very secret" not in repr(shown)
    return org


@pytest.fixture
def browser(org: Organization) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=org.url, timeout=20) as client:
        yield client


def _come(
    org: Organization, browser: httpx.Client, provider: OpenIdProvider, subject: str
) -> httpx.Response:
    """The answer at the end of the way: to the provider, and back."""
    left = browser.get(f"/auth/{org.id}/login", params={"return_to": "/spend?of=me"})
    assert left.status_code == 302, left.text
    return browser.get(provider.sign_in(subject, left.headers["location"]))


def test_who_is_invited_signs_in_with_the_roles_of_the_invitation(
    signing: Organization, browser: httpx.Client, provider: OpenIdProvider
) -> None:
    body = {"email": "ADA@example.com", "roles": ["finance"]}
    invited = signing.post("/v1/invitations", body)
    assert (invited["state"], invited["email"]) == ("open", "ada@example.com")
    came = _come(signing, browser, provider, "1")
    assert (came.status_code, came.headers["location"]) == (303, "/spend?of=me"), came.text
    cookie = came.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    me = browser.get("/v1/me").json()
    assert (me["kind"], me["name"], me["roles"]) == ("person", "ada@example.com", ["finance"])
    accepted = signing.get(f"/v1/invitations/{invited['id']}")
    assert (accepted["state"], accepted["member_id"]) == ("accepted", me["member_id"])
    _come(signing, browser, provider, "1")
    assert browser.get("/v1/me").json()["member_id"] == me["member_id"]


def test_the_way_there_proves_who_began_it(signing: Organization, browser: httpx.Client) -> None:
    asked = _asked(signing, browser)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["response_type"] == ["code"]
    assert {"openid", "email"} <= set(asked["scope"][0].split())
    again = _asked(signing, browser)
    for name in ("state", "nonce", "code_challenge"):
        assert asked[name] != again[name]
    assert asked["redirect_uri"] == [signing.get("/v1/sign-in")["redirect_uri"]]


def _asked(org: Organization, browser: httpx.Client) -> dict[str, list[str]]:
    left = browser.get(f"/auth/{org.id}/login")
    return parse_qs(urlsplit(left.headers["location"]).query)


def test_a_way_back_that_this_browser_did_not_begin_leads_nowhere(
    signing: Organization, browser: httpx.Client, provider: OpenIdProvider
) -> None:
    signing.post("/v1/invitations", {"email": "ada@example.com", "roles": ["finance"]})
    left = browser.get(f"/auth/{signing.id}/login")
    back = provider.sign_in("1", left.headers["location"])
    with httpx.Client(timeout=20) as another:
        refused = another.get(back)
        assert (refused.status_code, refused.json()["code"]) == (403, "sign_in_failed")
    wrong = browser.get("/auth/callback", params={"code": "a code", "state": "guessed"})
    assert (wrong.status_code, wrong.json()["code"]) == (403, "sign_in_failed")
    assert browser.get(back).status_code == 303


def test_a_code_counts_once_and_with_its_own_nonce(
    signing: Organization, browser: httpx.Client, provider: OpenIdProvider
) -> None:
    """A code that was stolen brings another's nonce."""
    signing.post("/v1/invitations", {"email": "ada@example.com", "roles": ["finance"]})
    stolen = provider.sign_in("1", browser.get(f"/auth/{signing.id}/login").headers["location"])
    code = parse_qs(urlsplit(stolen).query)["code"][0]
    with httpx.Client(base_url=signing.url, timeout=20) as thief:
        own = _asked(signing, thief)["state"][0]
        answer = thief.get("/auth/callback", params={"code": code, "state": own})
        assert (answer.status_code, answer.json()["code"]) == (403, "sign_in_failed")
        assert "nonce" in answer.json()["detail"]
        assert thief.get("/v1/me").status_code == 401


@pytest.mark.parametrize(
    ("subject", "says"), [("3", "invited"), ("4", "invited"), ("2", "verified")]
)
def test_nobody_comes_in_uninvited(
    signing: Organization,
    browser: httpx.Client,
    provider: OpenIdProvider,
    subject: str,
    says: str,
) -> None:
    signing.post("/v1/invitations", {"email": "ben@example.com", "roles": ["finance"]})
    signing.ask("PUT", "/v1/domains/example.com", {"joins_as": ["employee"]})
    answer = _come(signing, browser, provider, subject)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), answer.text
    assert says in answer.json()["detail"]
    assert browser.get("/v1/me").status_code == 401


def test_what_the_token_leaves_out_is_asked_of_the_provider(
    org: Organization, browser: httpx.Client
) -> None:
    thin = OpenIdProvider(*PEOPLE, thin=True)
    try:
        body = {"issuer": thin.issuer, "client_id": "spendra", "client_secret": "x"}
        org.ask("PUT", "/v1/sign-in", body)
        for email in ("ada@example.com", "ben@example.com"):
            org.post("/v1/invitations", {"email": email, "roles": ["finance"]})
        assert _come(org, browser, thin, "2").status_code == 403
        assert _come(org, browser, thin, "1").status_code == 303
        assert browser.get("/v1/me").json()["name"] == "ada@example.com"
    finally:
        thin.stop()


def test_an_address_that_may_or_may_not_be_verified_counts_where_it_is_trusted(
    org: Organization, browser: httpx.Client, provider: OpenIdProvider
) -> None:
    body = {"issuer": provider.issuer, "client_id": "spendra", "client_secret": "x"}
    for email in ("dora@example.com", "ben@example.com"):
        org.post("/v1/invitations", {"email": email, "roles": ["finance"]})
    assert org.ask("PUT", "/v1/sign-in", body)["trusts_email"] is False
    assert _come(org, browser, provider, "5").status_code == 403
    org.ask("PUT", "/v1/sign-in", body | {"trusts_email": True})
    assert _come(org, browser, provider, "2").status_code == 403
    assert _come(org, browser, provider, "5").status_code == 303
    assert browser.get("/v1/me").json()["name"] == "dora@example.com"


def test_the_way_ends_at_who_one_is(
    signing: Organization, browser: httpx.Client, provider: OpenIdProvider
) -> None:
    signing.post("/v1/invitations", {"email": "ada@example.com", "roles": ["finance"]})
    left = browser.get(f"/auth/{signing.id}/login").headers["location"]
    came = browser.get(provider.sign_in("1", left), follow_redirects=True)
    assert came.json()["name"] == "ada@example.com", came.text


def test_a_revoked_invitation_admits_nobody(
    signing: Organization, browser: httpx.Client, provider: OpenIdProvider
) -> None:
    invited = signing.post("/v1/invitations", {"email": "ada@example.com", "roles": ["finance"]})
    signing.post("/v1/invitations", {"email": "ada@example.com", "roles": ["auditor"]}, 409)
    path = f"/v1/invitations/{invited['id']}"
    assert signing.post(f"{path}/revoke", status=200)["state"] == "revoked"
    signing.post(f"{path}/revoke", status=409)
    assert _come(signing, browser, provider, "1").status_code == 403
    listed = signing.get("/v1/invitations?state=revoked")["items"]
    assert [one["id"] for one in listed] == [invited["id"]]


def test_a_member_of_that_name_is_found_and_a_suspended_one_stays_out(
    signing: Organization, browser: httpx.Client, provider: OpenIdProvider
) -> None:
    body = {"name": "ada@example.com", "roles": ["auditor"]}
    member = signing.post("/v1/members", body)
    assert _come(signing, browser, provider, "1").status_code == 303
    assert browser.get("/v1/me").json()["member_id"] == member["id"]
    signing.ask("PATCH", f"/v1/members/{member['id']}", {"state": "suspended"})
    assert browser.get("/v1/me").status_code == 401
    assert _come(signing, browser, provider, "1").status_code == 409


def test_another_sites_page_changes_nothing_with_the_session(
    signing: Organization, browser: httpx.Client, provider: OpenIdProvider
) -> None:
    signing.post("/v1/invitations", {"email": "ada@example.com", "roles": ["owner"]})
    _come(signing, browser, provider, "1")
    body = {"name": "ben", "roles": ["auditor"]}
    for origin in ({}, {"origin": "https://evil.test"}):
        refused = browser.post("/v1/members", json=body, headers=origin)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    ours = browser.post("/v1/members", json=body, headers={"origin": signing.url})
    assert ours.status_code == 201, ours.text


def test_the_session_is_listed_revoked_and_ended(
    signing: Organization, browser: httpx.Client, provider: OpenIdProvider
) -> None:
    signing.post("/v1/invitations", {"email": "ada@example.com", "roles": ["finance"]})
    _come(signing, browser, provider, "1")
    member_id = browser.get("/v1/me").json()["member_id"]
    sessions = signing.get(f"/v1/members/{member_id}/tokens")["items"]
    assert [one["name"] for one in sessions] == ["signed in"]
    assert sessions[0]["expires_at"] is not None
    token = browser.cookies["spendra_session"]
    assert browser.post("/auth/logout", headers={"origin": signing.url}).status_code == 204
    assert "spendra_session" not in browser.cookies
    stale = httpx.get(f"{signing.url}/v1/me", headers={"authorization": f"Bearer {token}"})
    assert stale.status_code == 401


def test_who_came_and_who_let_them_in_is_in_the_audit(
    signing: Organization, browser: httpx.Client, provider: OpenIdProvider
) -> None:
    signing.post("/v1/invitations", {"email": "ada@example.com", "roles": ["finance"]})
    _come(signing, browser, provider, "1")
    made = [(one["actor"], one["what"]) for one in signing.get("/v1/audit?limit=1000")["items"]]
    assert ("admin token", "invitations") in made
    assert ("sign-in", "members") in made
    assert "very secret" not in repr(signing.get("/v1/audit?limit=1000"))


def test_only_an_owner_invites_an_owner(signing: Organization) -> None:
    member = signing.post("/v1/members", {"name": "ida", "roles": ["iam"]})
    made = signing.post(f"/v1/members/{member['id']}/tokens", {"name": "tests"})
    headers = {"authorization": f"Bearer {made['token']}"}
    for method, path, body in (
        ("POST", "/v1/invitations", {"email": "a@example.com", "roles": ["owner"]}),
        ("PUT", "/v1/domains/example.com", {"joins_as": ["owner"]}),
    ):
        answer = httpx.request(method, f"{signing.url}{path}", json=body, headers=headers)
        assert answer.status_code == 403, answer.text


def test_a_provider_that_does_not_answer_is_not_taken(org: Organization) -> None:
    body = {"issuer": "http://127.0.0.1:9", "client_id": "spendra", "client_secret": "x"}
    answer = org.ask("PUT", "/v1/sign-in", body, 422)
    assert "127.0.0.1:9/.well-known/openid-configuration" in answer["detail"]
    org.get("/v1/sign-in", 404)


def test_without_a_provider_there_is_no_way_in(org: Organization, browser: httpx.Client) -> None:
    assert browser.get(f"/auth/{org.id}/login").status_code == 404
    assert browser.get("/auth/org_nobody/login").status_code == 404


@pytest.mark.parametrize("path", ["https://evil.test", "//evil.test", "/\\evil.test", "x"])
def test_the_way_back_stays_here(signing: Organization, browser: httpx.Client, path: str) -> None:
    answer = browser.get(f"/auth/{signing.id}/login", params={"return_to": path})
    assert answer.status_code == 422


@dataclass
class _Names(asyncio.DatagramProtocol):
    """A DNS server that knows these TXT records."""

    records: dict[str, str]
    transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        asked = dns.message.from_wire(data)
        answer = dns.message.make_response(asked)
        answer.flags |= dns.flags.AA
        name = asked.question[0].name
        text = self.records.get(str(name))
        if text is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        else:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", f'"{text}"'))
        self.transport.sendto(answer.to_wire(), addr)


@pytest.fixture
def records() -> Iterator[tuple[dict[str, str], str]]:
    """The records of a DNS server, and where it is."""
    loop, names = asyncio.new_event_loop(), _Names({})
    start = loop.create_datagram_endpoint(lambda: names, local_addr=("127.0.0.1", 0))
    transport, _ = loop.run_until_complete(start)
    port = transport.get_extra_info("sockname")[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield names.records, f"127.0.0.1:{port}"
    loop.call_soon_threadsafe(transport.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


@pytest.fixture
def resolving(
    postgres: Postgres,
    valkey: Server,
    records: tuple[dict[str, str], str],
    tmp_path: Any,
) -> Iterator[ControlPlane]:
    """A control plane that asks this DNS."""
    environ = settings(postgres.create_database("resolving"), valkey.url)
    environ["SPENDRA_DNS_SERVER"] = records[1]
    assert migrate(environ).returncode == 0
    plane = start_control_plane(environ, tmp_path / "log")
    yield plane
    plane.stop()


def test_who_is_of_a_domain_joins_once_its_dns_says_whose_it_is(
    resolving: ControlPlane, records: tuple[dict[str, str], str], provider: OpenIdProvider
) -> None:
    org = found_organization(resolving)
    with org.api, httpx.Client(base_url=org.url, timeout=20) as browser:
        body = {"issuer": provider.issuer, "client_id": "spendra", "client_secret": "x"}
        org.ask("PUT", "/v1/sign-in", body)
        path = "/v1/domains/example.com"
        record = org.ask("PUT", path, {"joins_as": ["employee"]})["record"]
        assert record["name"] == "_spendra.example.com"
        assert "found: none" in org.post(f"{path}/verify", status=409)["detail"]
        records[0]["_spendra.example.com."] = "spendra-verification=another"
        assert "another" in org.post(f"{path}/verify", status=409)["detail"]
        assert _come(org, browser, provider, "4").status_code == 403
        records[0]["_spendra.example.com."] = record["value"]
        assert org.post(f"{path}/verify", status=200)["verified_at"] is not None
        assert _come(org, browser, provider, "4").status_code == 303
        me = browser.get("/v1/me").json()
        assert (me["name"], me["roles"]) == ("carl@example.com", ["employee"])
        assert _come(org, browser, provider, "3").status_code == 403
        assert org.ask("PUT", path, {"joins_as": ["auditor"]})["verified_at"] is not None
        assert org.api.delete(path).status_code == 204
        assert org.get("/v1/domains")["items"] == []
