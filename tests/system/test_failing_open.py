"""Redis hangs under a running product: what budgets permit goes on, and lands afterwards."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.system.conftest import System, eventually, running

MESSAGES: Any = [{"role": "user", "content": "Is anybody there?"}]


@pytest.fixture(scope="module")
def system(provider: str) -> Iterator[System]:
    """One of our own: it will be hurt."""
    with running(provider, "--sidecars", "2") as found:
        yield found


def budget(system: System, name: str, open_up_to_usd: str) -> tuple[str, openai.OpenAI]:
    scope = {"project": name}
    body = {"name": name, "scope": scope, "period": "none", "limit_usd": "10", "kind": "hard"}
    made = system.ask("POST", "/v1/budgets", {**body, "open_up_to_usd": open_up_to_usd})
    return made["id"], system.openai(system.new_key(scope)["key"], max_retries=0)


def ask(client: openai.OpenAI) -> str:
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-4o", messages=MESSAGES, max_tokens=16
    )
    return str(raw.headers["x-spendra-decision-id"])


def until_refused(client: openai.OpenAI) -> Iterator[str]:
    try:
        while True:
            yield ask(client)
    except openai.APIStatusError as error:
        assert error.code == "ledger_unavailable"  # noqa: PT017 - what was yielded counts too


def decision(system: System, id_: str) -> dict[str, Any]:
    """Empty until it has landed."""
    answer = system.admin.get(f"/v1/decisions/{id_}")
    return dict(answer.json()) if answer.status_code == httpx.codes.OK else {"state": "none"}


def test_what_was_set_aside_is_spent_and_booked_and_nothing_else_goes(system: System) -> None:
    """The first budget of `spendra up` is over everything, so it has to permit it too."""
    path = f"/v1/budgets/{system.up['budget_id']}"
    system.ask("PATCH", path, {"open_up_to_usd": "1"})
    opened, client = budget(system, "may-fail-open", "0.003")
    closed, other = budget(system, "fails-closed", "0")
    before = ask(client)
    ask(other)
    system.ended(before)
    # Two sidecars set aside $0.003 each, and $1 each of the first budget.
    eventually(lambda: system.spend(opened), lambda s: s["held_nanousd"] == 6_000_000)
    everything = system.up["budget_id"]
    eventually(lambda: system.spend(everything), lambda s: s["held_nanousd"] == 2_000_000_000)
    system.refresh()
    valkey = system.up["pids"]["valkey"]
    os.kill(valkey, signal.SIGSTOP)
    try:
        let_through = [ask(client) for _ in range(2)]
        with pytest.raises(openai.InternalServerError) as refused:
            ask(other)
        assert refused.value.code == "ledger_unavailable"
        let_through += until_refused(client)
    finally:
        os.kill(valkey, signal.SIGCONT)
    for id_ in let_through:
        found = eventually(
            lambda id_=id_: decision(system, id_), lambda d: d["state"] == "posted", within_s=30
        )
        assert found["scope"]["admission"] == ["failed_open"]
    settled = eventually(
        lambda: system.spend(opened), lambda s: s["held_nanousd"] == 6_000_000, within_s=30
    )
    costs = [decision(system, id_)["cost_nanousd"] for id_ in (before, *let_through)]
    assert settled["settled_nanousd"] == sum(costs)
    assert system.spend(closed)["held_nanousd"] == 0
