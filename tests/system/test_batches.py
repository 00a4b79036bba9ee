"""Batches: reserved from their requests, kept by the ledger, settled once from their results."""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from anthropic import Anthropic

from tests.system.conftest import System, running
from tests.system.sdks.project import Project, project

SAY = [{"role": "user", "content": "Say hello"}]
BATCH = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
BATCH_INPUT_NANOUSD, BATCH_OUTPUT_NANOUSD = 75, 300
"""A token of gpt-4o-mini in a batch: half of what it costs otherwise."""


@pytest.fixture(scope="module")
def two(provider: str) -> Iterator[System]:
    """A product whose sidecars may be killed."""
    with running(provider, "--sidecars", "2") as found:
        yield found


def line(number: int, **body: Any) -> str:
    asked = {"model": "gpt-4o-mini", "messages": SAY, "max_tokens": 50, **body}
    request = {"custom_id": f"r{number}", "method": "POST", "url": BATCH["endpoint"]}
    return json.dumps({**request, "body": asked})


def ask(system: System, at: Project, method: str, path: str, **more: Any) -> httpx.Response:
    """The first sidecar, or the one that `sidecar` says."""
    url = system.up["sidecar_urls"][more.pop("sidecar", 0)]
    headers = {"x-spendra-key": at.key, **more.pop("headers", {})}
    return httpx.request(method, f"{url}{path}", headers=headers, timeout=30, **more)


def uploaded(system: System, at: Project, *lines: str) -> str:
    files = {"file": ("in.jsonl", "\n".join(lines))}
    answer = ask(system, at, "POST", "/v1/files", data={"purpose": "batch"}, files=files)
    return str(answer.raise_for_status().json()["id"])


def started(system: System, at: Project, *lines: str) -> httpx.Response:
    body = {"input_file_id": uploaded(system, at, *lines), **BATCH}
    return ask(system, at, "POST", "/v1/batches", json=body)


def held(system: System, at: Project) -> int:
    return int(system.spend(at.budget_id)["held_nanousd"])


def booked_at_batch_rates(item: dict[str, Any]) -> None:
    usage = item["usage"]
    assert item["usage_confidence"] == "reported"
    assert item["cost_nanousd"] == (
        usage["input_tokens"] * BATCH_INPUT_NANOUSD + usage["output_tokens"] * BATCH_OUTPUT_NANOUSD
    )


def test_a_batch_is_held_at_batch_rates_and_settled_once_by_its_results(system: System) -> None:
    at = project(system)
    answer = started(system, at, *(line(number) for number in range(3)))
    assert answer.status_code == 200, answer.text
    at_hold = held(system, at)
    assert 3 * 50 * BATCH_OUTPUT_NANOUSD < at_hold < 3 * 50 * 2 * BATCH_OUTPUT_NANOUSD
    for sidecar in (1, 0, 1):
        path = f"/v1/batches/{answer.json()['id']}"
        found = ask(system, at, "GET", path, sidecar=sidecar).raise_for_status().json()
        assert found["status"] == "completed"
    item = at.one_item()
    booked_at_batch_rates(item)
    assert 0 < item["cost_nanousd"] < at_hold
    assert item["usage"]["output_tokens"] > 0


def test_anthropics_batch_is_settled_by_its_results(system: System) -> None:
    at = project(system)
    params = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": SAY}
    requests = [{"custom_id": f"r{number}", "params": params} for number in range(2)]
    url = system.up["sidecar_url"]
    with Anthropic(base_url=url, api_key=at.key, max_retries=0) as client:
        made = client.messages.batches.create(requests=requests)  # type: ignore[arg-type]
        assert held(system, at) > 0
        assert client.messages.batches.retrieve(made.id).processing_status == "ended"
        results = list(client.messages.batches.results(made.id))
    assert [result.custom_id for result in results] == ["r0", "r1"]
    item = at.one_item()
    assert (item["provider"], item["usage_confidence"]) == ("anthropic", "reported")
    tokens = item["usage"]
    assert item["cost_nanousd"] == tokens["input_tokens"] * 500 + tokens["output_tokens"] * 2500


def test_the_official_sdk_runs_a_batch(system: System) -> None:
    at = project(system)
    client = system.openai(at.key)
    file = client.files.create(file=("in.jsonl", line(1).encode()), purpose="batch")
    made = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    found = client.batches.retrieve(made.id)
    assert found.output_file_id
    (result,) = client.files.content(found.output_file_id).text.splitlines()
    assert json.loads(result)["custom_id"] == "r1"
    booked_at_batch_rates(at.one_item())


def test_a_batch_outlives_the_sidecar_that_asked_for_it(two: System) -> None:
    at = project(two)
    answer = started(two, at, line(1), line(2))
    assert answer.status_code == 200, answer.text
    at_hold = held(two, at)
    os.kill(two.up["pids"]["sidecar"], signal.SIGKILL)
    ended = "UPDATE spendra.sidecar_leases SET expires_at = now() - interval '1 s' RETURNING 1"
    assert two.in_database(ended)
    assert two.in_database("SELECT spendra.label_lost($1)", two.up["org_id"]) == 0
    assert held(two, at) == at_hold
    path = f"/v1/batches/{answer.json()['id']}"
    ask(two, at, "GET", path, sidecar=1).raise_for_status()
    booked_at_batch_rates(at.one_item())


def test_a_batch_that_goes_on_takes_no_place_of_requests_in_flight(system: System) -> None:
    at = project(system)
    rules = {"max_concurrency": 1, "tokens_per_minute": 300}
    policy = {"name": at.name, "scope": {"project": at.name}, "rules": rules}
    system.ask("POST", "/v1/policies", policy)
    assert started(system, at, *(line(number) for number in range(3))).status_code == 200
    body = {"model": "gpt-4o-mini", "messages": SAY, "max_tokens": 5}
    assert ask(system, at, "POST", "/v1/chat/completions", json=body).status_code == 200


def test_a_response_in_the_background_may_be_heard_of_by_another_sidecar(system: System) -> None:
    at = project(system)
    body = {"model": "gpt-4o-mini", "input": "Say hello", "background": True}
    answer = ask(system, at, "POST", "/v1/responses", json=body)
    assert held(system, at) > 0
    for _ in range(2):
        path = f"/v1/responses/{answer.json()['id']}"
        ask(system, at, "GET", path, sidecar=1).raise_for_status()
    assert at.one_item()["usage_confidence"] == "reported"


def test_one_that_nobody_asks_for_is_booked_at_its_worst_case(system: System) -> None:
    at = project(system)
    answer = started(system, at, line(1))
    at_hold = held(system, at)
    assert at_hold > 0
    due = "UPDATE spendra.pending SET until = now() WHERE identity = $1 RETURNING 1"
    assert system.in_database(due, answer.json()["id"])
    item = at.one_item()
    assert (item["reason"], item["cost_nanousd"]) == ("never_heard_of", at_hold)


def test_a_batch_that_does_not_fit_does_not_leave(system: System) -> None:
    at = project(system, limit_usd="0.00003")
    before = system.provider()["total"]
    answer = started(system, at, *(line(number) for number in range(3)))
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "budget_exhausted")
    seen = system.provider()
    late = seen["requests"][-(seen["total"] - before) :]
    assert [one["path"] for one in late if one["path"].endswith("/batches")] == []
    assert held(system, at) == 0
    assert started(system, at, line(1)).status_code == 200


@pytest.mark.parametrize(
    ("lines", "status", "said"),
    [
        ([line(1), line(2, max_tokens=None)], 400, "Request 2 of the batch sets no output limit"),
        ([line(1), line(2, model="gpt-4o")], 400, "make a batch for each model"),
        ([line(1), "{"], 400, "Request 2 of the batch cannot be read"),
        ([line(1, model="no-such-model")], 403, "Request 1 of the batch"),
        ([line(1, stream=True)], 400, "asks for a stream"),
        ([line(1).replace("/v1/chat", "/v1/nothing")], 404, "whose cost is not metered"),
        ([" "], 400, "has no requests"),
    ],
)
def test_what_cannot_be_bounded_is_refused_and_named(
    system: System, lines: list[str], status: int, said: str
) -> None:
    at = project(system)
    answer = started(system, at, *lines)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text
    assert held(system, at) == 0


def test_a_file_that_is_not_there_is_named(system: System) -> None:
    at = project(system)
    answer = ask(system, at, "POST", "/v1/batches", json={"input_file_id": "file-none", **BATCH})
    assert (answer.status_code, "file-none" in answer.text) == (400, True)
    assert answer.json()["error"]["code"] == "batch_unreadable"


def test_the_name_of_a_file_leads_to_no_other_path(system: System) -> None:
    at, before = project(system), system.provider()["total"]
    body = {"input_file_id": "../models/gpt-4o?", **BATCH}
    answer = ask(system, at, "POST", "/v1/batches", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "batch_unreadable")
    seen = system.provider()
    late = seen["requests"][-(seen["total"] - before) :]
    assert [
        one["path"] for one in late if "/files/" not in one["path"] or "/../" in one["path"]
    ] == []


def test_a_model_that_the_key_may_not_use_is_refused_in_a_batch_too(system: System) -> None:
    at = project(system, models=["gpt-4o"])
    answer = started(system, at, line(1))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "model_not_allowed")
