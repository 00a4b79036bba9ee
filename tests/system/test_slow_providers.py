"""Providers that hang, fall silent, or answer when nobody waits any more."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.system.conftest import System, running
from tests.system.test_faults import governed


@pytest.fixture(scope="module")
def impatient(provider: str) -> Iterator[System]:
    """A product that waits for two seconds; one request is tried once."""
    env = {"SPENDRA_FIRST_BYTE_TIMEOUT_S": "2", "SPENDRA_IDLE_TIMEOUT_S": "2"}
    with running(provider, env=env) as found:
        yield found


def ask(system: System, key: str, words: str, **more: Any) -> httpx.Response:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100}
    url = f"{system.up['sidecar_url']}/v1/chat/completions"
    return httpx.post(
        url,
        json=body | more,
        headers={"authorization": f"Bearer {key}", "x-simulate": words},
        timeout=60,
    )


def only_item(system: System, name: str) -> dict[str, Any]:
    [item] = system.ask("GET", f"/v1/ledger?scope=project={name}")["items"]
    return dict(item)


def test_a_provider_that_hangs_is_posted_at_the_worst_case(impatient: System) -> None:
    """It answers after we gave up: that changes nothing any more."""
    budget, key = governed(impatient, "hung", "10")
    answer = ask(impatient, key, "delay-ms=5000")
    assert answer.status_code == 504, answer.text
    spent = impatient.drained(budget)
    item = only_item(impatient, "hung")
    assert (item["state"], item["usage_confidence"]) == ("posted", "worst_case")
    assert item["cost_nanousd"] == item["reserved_nanousd"] == spent["settled_nanousd"]
    time.sleep(4)
    assert impatient.drained(budget) == spent


def test_a_provider_that_falls_silent_is_charged_for_what_it_said(impatient: System) -> None:
    budget, key = governed(impatient, "silent", "10")
    answer = ask(impatient, key, "tokens=20,chunk-ms=3000", stream=True)
    assert b"error" in answer.content
    spent = impatient.drained(budget)
    item = only_item(impatient, "silent")
    assert (item["state"], item["reason"]) == ("posted", "idle_timeout")
    assert 0 < item["cost_nanousd"] == spent["settled_nanousd"] < item["reserved_nanousd"]


def test_an_answer_that_comes_late_but_in_time_is_settled_as_any_other(impatient: System) -> None:
    budget, key = governed(impatient, "late", "10")
    answer = ask(impatient, key, "delay-ms=1500,tokens=7")
    assert answer.status_code == 200, answer.text
    spent = impatient.drained(budget)
    item = only_item(impatient, "late")
    assert (item["usage_confidence"], item["usage"]["output_tokens"]) == ("reported", 7)
    assert item["cost_nanousd"] == spent["settled_nanousd"]
