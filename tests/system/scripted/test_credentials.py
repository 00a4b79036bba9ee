"""Credentials that are exchanged for tokens: fetched once, renewed in time, shown to no caller."""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

from tests.system.conftest import eventually
from tests.system.scripted.product import CHAT, UPSTREAM_KEY, Product
from tests.system.scripted.upstream import Answer, said

GEMINI = {"contents": [{"role": "user", "parts": [{"text": "Is water wet?"}]}]}
YES = said(
    {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Yes."}]}}],
        "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6},
        "modelVersion": "gemini-2.5-flash",
    }
)
CHATTED = said(
    {
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": {"content": "Yes."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6},
    }
)
PLACE = {"project": "water", "location": "europe-west4"}
SHORT_S = 200
"""Less than the five minutes before its end in which a token is renewed."""
_numbers = itertools.count(1)


def token(value: str, lasts_s: int) -> Answer:
    return said({"access_token": value, "expires_in": lasts_s, "token_type": "Bearer"})


def tokens(product: Product, *answers: Answer) -> str:
    """An endpoint that gives out tokens; its script's name."""
    name = f"tokens-{next(_numbers)}"
    product.upstream.script(name, *answers)
    return name


def bearers(product: Product, name: str) -> list[str]:
    return [each.headers.get("authorization", "") for each in product.upstream.asked(name)]


# --- Vertex: a service account's key file ------------------------------------------------------


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_file(product: Product, private_key: rsa.RSAPrivateKey, endpoint: str) -> str:
    """As Google gives it, but for the endpoint and, between routes, the account."""
    pem = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "water",
            "private_key_id": "k1",
            "private_key": pem.decode(),
            "client_email": f"{endpoint}@water.iam.gserviceaccount.com",
            "token_uri": f"{product.upstream.url}/{endpoint}/token",
        }
    )


def vertex(product: Product, credential: str) -> str:
    return product.route("vertex", YES, credential=credential, parameters=PLACE)


def generate(product: Product, name: str, **headers: str) -> Any:
    place = "projects/water/locations/europe-west4/publishers/google"
    path = f"/v1/{name}/v1/{place}/models/gemini-2.5-flash:generateContent"
    return product.post(path, GEMINI, **headers)


def test_a_service_account_signs_for_its_token(
    product: Product, private_key: rsa.RSAPrivateKey
) -> None:
    endpoint = tokens(product, token("ya29.first", 3599))
    name = vertex(product, key_file(product, private_key, endpoint))
    answer = generate(product, name, authorization="Bearer of-the-caller")
    assert answer.status_code == 200, answer.text
    assert bearers(product, name) == ["Bearer ya29.first"]
    form = parse_qs(product.one_asked(endpoint).body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    public_key = private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    claims = jwt.decode(form["assertion"][0], certs=public_key)
    assert claims["iss"] == f"{endpoint}@water.iam.gserviceaccount.com"
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    assert "ya29" not in f"{answer.headers}{answer.text}"


def test_a_service_accounts_token_is_kept_while_it_lasts(
    product: Product, private_key: rsa.RSAPrivateKey
) -> None:
    endpoint = tokens(product, token("ya29.only", 3599), token("ya29.needless", 3599))
    name = vertex(product, key_file(product, private_key, endpoint))
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: generate(product, name), range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert set(bearers(product, name)) == {"Bearer ya29.only"}
    product.one_asked(endpoint)


def test_a_service_accounts_token_is_renewed_before_it_ends(
    product: Product, private_key: rsa.RSAPrivateKey
) -> None:
    endpoint = tokens(product, token("ya29.short", SHORT_S), token("ya29.next", 3599))
    name = vertex(product, key_file(product, private_key, endpoint))
    assert renewed(product, name, lambda: generate(product, name)) == [
        "Bearer ya29.short",
        "Bearer ya29.next",
    ]


def renewed(product: Product, name: str, ask: Any) -> list[str]:
    """The tokens that were used, in order, once there is a second; no request may fail."""

    def look() -> dict[str, Any]:
        assert ask().status_code == 200
        return {"used": list(dict.fromkeys(bearers(product, name)))}

    used: list[str] = eventually(look, lambda found: len(found["used"]) > 1)["used"]
    return used


def test_without_a_token_nothing_leaves_and_nothing_is_booked(
    product: Product, private_key: rsa.RSAPrivateKey
) -> None:
    endpoint = tokens(product, said({"error": "invalid_grant"}, 400))
    name = vertex(product, key_file(product, private_key, endpoint))
    answer = generate(product, name)
    assert answer.status_code == 502
    error = answer.json()["error"]
    assert error["details"][0]["reason"] == "CREDENTIAL_UNAVAILABLE"
    assert "PRIVATE KEY" not in answer.text
    decision = product.ended(answer)
    assert (decision["state"], decision["cost_nanousd"]) == ("voided", 0)
    assert product.upstream.asked(name) == []


# --- Azure: an application in Entra, and a key --------------------------------------------------


def entra(product: Product, endpoint: str, **more: str) -> str:
    authority = f"{product.upstream.url}/{endpoint}"
    known = {"tenant_id": "t-1", "client_id": "c-1", "client_secret": "s-1"}
    return json.dumps({**known, "authority": authority, **more})


def deployed(product: Product, name: str, **headers: str) -> Any:
    path = f"/v1/{name}/openai/deployments/gpt-4o-mini/chat/completions?api-version=2024-10-21"
    return product.post(path, CHAT, **headers)


def test_an_application_in_entra_gets_its_bearer(product: Product) -> None:
    endpoint = tokens(product, token("entra-first", 3599))
    name = product.route("azure", CHATTED, credential=entra(product, endpoint))
    answer = deployed(product, name, api_key="of-the-caller")
    assert answer.status_code == 200, answer.text
    asked = product.one_asked(name)
    assert asked.headers["authorization"] == "Bearer entra-first"
    assert "api-key" not in asked.headers
    fetched = product.one_asked(endpoint)
    assert (fetched.method, fetched.path) == ("POST", "/t-1/oauth2/v2.0/token")
    assert parse_qs(fetched.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["c-1"],
        "client_secret": ["s-1"],
        "scope": ["https://cognitiveservices.azure.com/.default"],
    }


def test_entras_bearer_is_renewed_before_it_ends(product: Product) -> None:
    endpoint = tokens(product, token("entra-short", SHORT_S), token("entra-next", 3599))
    name = product.route("azure", CHATTED, credential=entra(product, endpoint))
    assert renewed(product, name, lambda: deployed(product, name)) == [
        "Bearer entra-short",
        "Bearer entra-next",
    ]


def test_a_token_that_lasts_serves_while_no_other_can_be_fetched(product: Product) -> None:
    refused = said({"error": "temporarily_unavailable"}, 503)
    endpoint = tokens(product, token("entra-short", SHORT_S), refused)
    name = product.route("azure", CHATTED, credential=entra(product, endpoint))

    def look() -> dict[str, Any]:
        assert deployed(product, name).status_code == 200
        return {"fetched": len(product.upstream.asked(endpoint))}

    eventually(look, lambda found: found["fetched"] > 1)
    assert deployed(product, name).status_code == 200
    assert set(bearers(product, name)) == {"Bearer entra-short"}


def test_azures_key_goes_where_azure_looks_for_it(product: Product) -> None:
    name = product.route("azure", CHATTED)
    answer = deployed(product, name, authorization="Bearer of-the-caller")
    assert answer.status_code == 200, answer.text
    asked = product.one_asked(name)
    assert asked.headers["api-key"] == UPSTREAM_KEY
    assert "authorization" not in asked.headers
    assert UPSTREAM_KEY not in f"{answer.headers}{answer.text}"
