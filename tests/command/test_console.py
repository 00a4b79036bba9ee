"""From words to a request, by what the API's document says."""

import re
from typing import Any

import pytest

from spendra.arguments import CommandError
from spendra.command.console.words import Request, operations, request, resources, usage

NAMED = [{"in": "path", "name": "key_id"}]
NEW = {
    "properties": {
        "name": {"type": "string"},
        "scope": {"type": "object", "additionalProperties": {"type": "string"}},
        "models": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
        "most": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "rules": {"$ref": "#/components/schemas/Rules"},
    }
}
BODY = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/New"}}}}
DOCUMENT: dict[str, Any] = {
    "components": {"schemas": {"New": NEW, "Rules": {"properties": {"on": {"type": "boolean"}}}}},
    "paths": {
        "/v1/keys": {
            "get": {"parameters": [{"in": "query", "name": "limit"}]},
            "post": {"requestBody": BODY, "description": "Makes one.\nAt once."},
        },
        "/v1/keys/{key_id}": {"get": {"parameters": NAMED}, "delete": {"parameters": NAMED}},
        "/v1/keys/{key_id}/revoke": {"post": {"parameters": NAMED}},
        "/v1/settings/lost": {"get": {}, "put": {"requestBody": BODY}},
        "/healthz": {"get": {}},
    },
}


def asked(resource: str, *words: str, body: Any = None) -> Request:
    return request(operations(DOCUMENT, resource), list(words), body)


def test_resources_are_those_of_the_document() -> None:
    assert resources(DOCUMENT) == ["keys", "settings"]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["list", "limit=5"], Request("GET", "/v1/keys", {"limit": "5"})),
        (["list", "limits=5"], Request("GET", "/v1/keys", {"limits": "5"})),
        (["get", "k1"], Request("GET", "/v1/keys/k1")),
        (["remove", "k1"], Request("DELETE", "/v1/keys/k1")),
        (["revoke", "k1"], Request("POST", "/v1/keys/k1/revoke")),
        (["create"], Request("POST", "/v1/keys", {}, {})),
        (
            ["create", "name=a=b", "scope.project=checkout", "scope.team=web", "models=x*,y"],
            Request(
                "POST", "/v1/keys", {},
                {
                    "name": "a=b",
                    "scope": {"project": "checkout", "team": "web"},
                    "models": ["x*", "y"],
                },
            ),
        ),
        (["create", "most=5", "rules.on=true"],
         Request("POST", "/v1/keys", {}, {"most": 5, "rules": {"on": True}})),
        (["create", "most=null", 'models=["a"]'],
         Request("POST", "/v1/keys", {}, {"most": None, "models": ["a"]})),
        # What is wrong is the API's to say: it names the nearest right name.
        (["create", "most=x", "naem=y"],
         Request("POST", "/v1/keys", {}, {"most": "x", "naem": "y"})),
    ],
)  # fmt: skip
def test_words_become_the_request_that_they_say(words: list[str], wanted: Request) -> None:
    assert asked("keys", *words) == wanted


def test_two_methods_of_one_path_are_told_apart() -> None:
    assert asked("settings", "lost") == Request("GET", "/v1/settings/lost")
    assert asked("settings", "put-lost", "name=x").body == {"name": "x"}


def test_fields_are_put_into_a_body_from_a_file() -> None:
    found = asked("keys", "create", "scope.team=web", body={"name": "n", "scope": {"project": "p"}})
    assert found.body == {"name": "n", "scope": {"project": "p", "team": "web"}}


@pytest.mark.parametrize(
    ("resource", "words", "said"),
    [
        ("keis", ["list"], "did you mean 'keys'?"),
        ("keys", ["revoek", "k1"], "did you mean 'revoke'?"),
        ("keys", ["revoke"], "needs the id"),
        ("keys", ["revoke", "name=x"], "needs the id"),
        ("keys", ["create", "name"], "write it as name=value"),
    ],
)
def test_a_wrong_word_is_named(resource: str, words: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=re.escape(said)):
        asked(resource, *words)


def test_what_can_be_said_is_listed() -> None:
    said = usage("keys", operations(DOCUMENT, "keys"))
    assert "spendra keys create [name=…] [scope=…] [models=…] [most=…] [rules=…]" in said
    assert "      Makes one." in said
    assert "spendra keys revoke ID" in said
