"""Tokens of a trusted issuer in place of keys, through a running sidecar."""

import time
from collections.abc import Iterator
from email.message import Message
from typing import Any

import openai
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tests.json_server import JsonServer
from tests.servers import free_port
from tests.system.conftest import System, eventually

ASKED: Any = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "Say hello."}],
    "max_tokens": 20,
}


class Issuer(JsonServer):
    """Signs tokens, and publishes the keys that it signs with."""

    def __init__(self) -> None:
        self.keys = [RSAKey.generate_key(2048, {"kid": "one"})]
        self.asked = 0
        super().__init__()

    def answer(self, method: str, path: str, headers: Message) -> tuple[int, object]:
        assert method == "GET", headers
        if path == "/jwks":
            self.asked += 1
            return 200, KeySet(self.keys).as_dict(private=False)
        addresses = {"authorization_endpoint": "/a", "token_endpoint": "/t", "jwks_uri": "/jwks"}
        found = {name: self.url + at for name, at in addresses.items()}
        return 200, {"issuer": self.url} | found

    def token(self, key: RSAKey | None = None, **claims: Any) -> str:
        key = key or self.keys[-1]
        plain = {"iss": self.url, "aud": "spendra", "exp": int(time.time()) + 600, "sub": "x"}
        made = {name: value for name, value in {**plain, **claims}.items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": key.kid}, made, key)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    running = Issuer()
    yield running
    running.stop()


@pytest.fixture
def trusted(system: System, issuer: Issuer) -> dict[str, Any]:
    """The key that its tokens stand for."""
    key = system.new_key({"project": "by-token"}, models=["gpt-4o-*"])
    body = {
        "issuer": issuer.url,
        "audience": "spendra",
        "key_id": key["id"],
        "claims": {"person": "email", "team": "groups"},
    }
    made = system.ask("PUT", "/v1/issuers/tests", body)
    system.pushed()
    assert made["jwks_url"] == f"{issuer.url}/jwks"
    assert system.ask("GET", "/v1/issuers/tests") == made
    return key


WHO = {"email": "ada@example.com", "groups": ["payers", "search"]}


def asks(system: System, token: str, **more: Any) -> Any:
    raw = system.openai(token, max_retries=0).chat.completions.with_raw_response
    return raw.create(**{**ASKED, **more})


def refused(system: System, token: str, **more: Any) -> str:
    with pytest.raises(openai.APIStatusError) as caught:
        asks(system, token, **more)
    return str(caught.value.code)


def test_a_token_spends_as_its_key_and_its_claims_say(
    system: System, issuer: Issuer, trusted: dict[str, Any]
) -> None:
    for team in ({"name": "finance-dept"}, {"name": "payers", "parent": "finance-dept"}):
        system.ask("POST", "/v1/teams", team)
    budget = system.new_budget({"team": "finance-dept"}, "1")
    answer = asks(system, issuer.token(**WHO))
    decision = system.ended(answer.headers["x-spendra-decision-id"])
    scope = decision["scope"]
    assert (scope["key"], scope["project"]) == ([trusted["id"]], ["by-token"])
    assert scope["person"] == ["ada@example.com"]
    assert scope["team"][:2] == ["payers", "finance-dept"]
    assert "search" in scope["team"]
    assert system.drained(budget["id"])["settled_nanousd"] > 0
    assert refused(system, issuer.token(**WHO), model="gpt-4o") == "model_not_allowed"


def test_a_token_that_does_not_hold_is_refused(
    system: System, issuer: Issuer, trusted: dict[str, Any]
) -> None:
    stranger = RSAKey.generate_key(2048, {"kid": "one"})
    good = issuer.token(**WHO)
    head, body, signature = good.split(".")
    for token in (
        issuer.token(stranger, **WHO),
        issuer.token(**WHO, exp=int(time.time()) - 3600),
        issuer.token(**WHO, exp=None),
        issuer.token(**WHO, aud="another"),
        issuer.token(**WHO, iss="https://elsewhere.test"),
        issuer.token(**WHO, nbf=int(time.time()) + 3600),
        issuer.token(groups=["payers"]),
        issuer.token(email="", groups=["payers"]),
        issuer.token(email="a@b.c", groups=[]),
        issuer.token(email="a@b.c", groups=[7]),
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body}.",
        "eyJhbGciOiJub25lIn0." + body + ".",
        "eyJ.x.y",
    ):
        assert refused(system, token) == "token_invalid", token
    assert asks(system, good).status_code == 200
    assert trusted["state"] == "active"


def test_a_paused_key_and_a_removed_issuer_end_their_tokens(
    system: System, issuer: Issuer, trusted: dict[str, Any]
) -> None:
    token = issuer.token(**WHO)
    assert asks(system, token).status_code == 200
    system.ask("POST", f"/v1/keys/{trusted['id']}/pause")
    assert refused(system, token) == "key_paused"
    system.ask("POST", f"/v1/keys/{trusted['id']}/resume")
    system.pushed()
    assert asks(system, token).status_code == 200
    assert system.admin.delete("/v1/issuers/tests").status_code == 204
    assert refused(system, token) in {"token_invalid", "key_malformed"}


def test_a_new_key_of_the_issuer_is_fetched_when_a_token_names_it(
    system: System, issuer: Issuer, trusted: dict[str, Any]
) -> None:
    assert asks(system, issuer.token(**WHO)).status_code == 200
    assert asks(system, issuer.token(**WHO, jti="2")).status_code == 200
    assert issuer.asked == 1
    issuer.keys = [RSAKey.generate_key(2048, {"kid": "two"})]

    def answered() -> dict[str, Any]:
        try:
            return {"status": asks(system, issuer.token(**WHO)).status_code}
        except openai.AuthenticationError:
            return {"status": 401}

    eventually(answered, lambda found: found["status"] == 200)
    assert issuer.asked == 2
    assert trusted["state"] == "active"


def test_an_issuer_whose_keys_are_away_costs_its_tokens_only(
    system: System, issuer: Issuer, trusted: dict[str, Any]
) -> None:
    body = {
        "issuer": issuer.url,
        "audience": "spendra",
        "jwks_url": f"http://127.0.0.1:{free_port()}/jwks",
        "key_id": trusted["id"],
    }
    system.ask("PUT", "/v1/issuers/tests", body)
    system.pushed()
    assert refused(system, issuer.token(**WHO)) == "issuer_unavailable"
    assert asks(system, system.up["api_key"]).status_code == 200


def test_what_a_claim_and_the_key_both_name_is_refused(
    system: System, issuer: Issuer, trusted: dict[str, Any]
) -> None:
    body = {
        "issuer": issuer.url,
        "audience": "spendra",
        "key_id": trusted["id"],
        "claims": {"project": "p"},
    }
    answer = system.admin.put("/v1/issuers/tests", json=body)
    assert (answer.status_code, "claims.project" in answer.text) == (422, True)
