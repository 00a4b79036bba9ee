"""Requests that repeat others, and limits on how many, in a running product."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from tests.system.conftest import System

MESSAGES: Any = [{"role": "user", "content": "Say something about repeats."}]


def ask(client: openai.OpenAI, *, text: str = "again", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.chat.completions.with_raw_response.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": text}],
        max_tokens=16,
        extra_headers=named,
    )


def refusal(error: openai.APIStatusError) -> dict[str, Any]:
    body: Any = error.body
    return {"status": error.status_code, "code": error.code, **body["spendra"]}


def test_a_repeat_under_one_idempotency_key_is_not_sent_again(system: System) -> None:
    client, key = system.openai(max_retries=0), "order-4711"
    first = ask(client, idempotency_key=key).headers["x-spendra-decision-id"]
    cost = system.ended(first)["cost_usd"]
    reached = system.provider()["total"]
    with pytest.raises(openai.ConflictError) as caught:
        ask(client, idempotency_key=key)
    found = refusal(caught.value)
    assert (found["code"], found["duplicate_of"]) == ("duplicate_ended", first)
    assert (found["outcome"], found["cost_usd"]) == ("posted", cost)
    assert caught.value.response.headers["x-should-retry"] == "false"
    with pytest.raises(openai.UnprocessableEntityError) as other:
        ask(client, text="something else", idempotency_key=key)
    assert refusal(other.value)["code"] == "idempotency_key_reused"
    assert system.provider()["total"] == reached


def test_an_idempotency_key_is_one_spendra_keys_own(system: System) -> None:
    reached = system.provider()["total"]
    for _ in range(2):
        key = system.new_key({"project": "repeats"})["key"]
        ask(system.openai(key, max_retries=0), idempotency_key="order-1")
    assert system.provider()["total"] == reached + 2


def test_of_many_at_once_over_two_sidecars_one_is_sent(system: System) -> None:
    reached = system.provider()["total"]
    clients = [
        openai.OpenAI(base_url=f"{url}/v1", api_key=system.up["api_key"], max_retries=0)
        for url in system.up["sidecar_urls"]
    ]

    def attempt(number: int) -> int:
        try:
            return int(ask(clients[number % 2], idempotency_key="burst").http_response.status_code)
        except openai.ConflictError as error:
            return error.status_code

    with ThreadPoolExecutor(16) as pool:
        answers = sorted(pool.map(attempt, range(16)))
    assert answers == [200] + [409] * 15
    assert system.provider()["total"] == reached + 1


def test_an_sdks_retry_is_a_request_of_its_own_and_linked(system: System) -> None:
    client = system.openai(max_retries=0)
    text = "an SDK's retry"
    first = ask(client, text=text).headers["x-spendra-decision-id"]
    again = ask(client, text=text, x_stainless_retry_count="1").headers["x-spendra-decision-id"]
    assert system.ended(first)["retry_count"] == 0
    decision = system.ended(again)
    assert (decision["retry_count"], decision["retry_of"]) == (1, first)


def test_a_policys_token_limit_answers_429_and_403_where_no_minute_has_room(
    system: System,
) -> None:
    scope = {"project": "few-tokens"}
    rules = {"tokens_per_minute": 150}
    system.ask("POST", "/v1/policies", {"name": "few", "scope": scope, "rules": rules})
    client = system.openai(system.new_key(scope)["key"], max_retries=0)
    with pytest.raises(openai.PermissionDeniedError) as large:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=200)
    assert refusal(large.value)["code"] == "tokens_over_limit"
    seen = []
    for _ in range(12):
        try:
            ask(client)
        except openai.RateLimitError as error:
            seen.append(refusal(error))
    assert seen
    assert {found["code"] for found in seen} == {"rate_limited"}
    assert {found["tokens_per_minute"] for found in seen} == {150}


def test_a_label_that_no_book_can_hold_is_refused_and_harms_nobody(system: System) -> None:
    reached = system.provider()["total"]
    with pytest.raises(openai.BadRequestError) as caught:
        system.openai(max_retries=0).chat.completions.create(
            model="gpt-4o", messages=MESSAGES, metadata={"feature": "a\0b"}
        )
    assert refusal(caught.value)["code"] == "body_invalid"
    assert system.provider()["total"] == reached
