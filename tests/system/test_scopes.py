"""Each kind of scope, held by a running sidecar: a budget over it stops those within, to the
nano-dollar, and nobody else. docs/policies.md has a row for each."""

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from tests.system.conftest import System, eventually

_numbers = itertools.count(1)
SMALL = "mistral-small-latest"
"""Near a cap OpenAI's chats are counted anew; what these hold depends on the request alone."""


@dataclass(frozen=True)
class Call:
    """One way to ask: whose key, where, and with which headers."""

    key: str
    path: str = "/v1/mistral/v1/chat/completions"
    model: str = SMALL
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A budget over `selector` meets `within` and not `beside`."""

    selector: dict[str, str]
    within: Call
    beside: Call


def ask(system: System, call: Call) -> httpx.Response:
    return httpx.post(
        f"{system.up['sidecar_url']}{call.path}",
        json={
            "model": call.model,
            "messages": [{"role": "user", "content": "Who pays?"}],
            "max_tokens": 64,
        },
        headers={"x-spendra-key": call.key, **call.headers},
        timeout=30,
    )


def name() -> str:
    return f"scope-{os.getpid()}-{next(_numbers)}"


def key(system: System, scope: dict[str, str], **more: Any) -> str:
    return str(system.new_key(scope, **more)["key"])


def make(system: System, plural: str, **more: Any) -> str:
    made = system.ask("POST", f"/v1/{plural}", {"name": name(), **more})
    return str(made["name"])


def bound(kind: str) -> Callable[[System], Case]:
    """A key is bound to it."""

    def arrange(system: System) -> Case:
        own, other = name(), name()
        keys = [key(system, {kind: scope}) for scope in (own, other)]
        return Case({kind: own}, Call(keys[0]), Call(keys[1]))

    return arrange


def above(kind: str, plural: str, child: tuple[str, str, str]) -> Callable[[System], Case]:
    """It is a parent of what the key is bound to; `child` is kind, path and field."""

    def arrange(system: System) -> Case:
        of, below, reference = child
        parents = [make(system, plural) for _ in range(2)]
        several = reference == "teams"
        scopes = [make(system, below, **{reference: [p] if several else p}) for p in parents]
        keys = [key(system, {of: scope}) for scope in scopes]
        return Case({kind: parents[0]}, Call(keys[0]), Call(keys[1]))

    return arrange


def nested_team(system: System) -> Case:
    company, other = make(system, "teams"), make(system, "teams")
    branch = make(system, "teams", parent=company)
    keys = [key(system, {"team": team}) for team in (branch, other)]
    return Case({"team": company}, Call(keys[0]), Call(keys[1]))


def second_team(system: System) -> Case:
    """A project of two teams counts for both."""
    first, second = make(system, "teams"), make(system, "teams")
    shared = make(system, "projects", teams=[first, second])
    alone = make(system, "projects", teams=[first])
    keys = [key(system, {"project": project}) for project in (shared, alone)]
    return Case({"team": second}, Call(keys[0]), Call(keys[1]))


def subagent(system: System) -> Case:
    """A tree of agents three deep has one budget."""
    lead, other = make(system, "agents"), make(system, "agents")
    helper = make(system, "agents", parent=make(system, "agents", parent=lead))
    keys = [key(system, {"agent": agent}) for agent in (helper, other)]
    return Case({"agent": lead}, Call(keys[0]), Call(keys[1]))


def one_key(system: System) -> Case:
    project = {"project": name()}
    made = [system.new_key(project) for _ in range(2)]
    return Case({"key": made[0]["id"]}, Call(made[0]["key"]), Call(made[1]["key"]))


def environment(system: System) -> Case:
    project = {"project": name()}
    keys = [key(system, project, environment=each) for each in ("staging", "live")]
    return Case({**project, "environment": "staging"}, Call(keys[0]), Call(keys[1]))


def provider(system: System) -> Case:
    project = {"project": name()}
    within = Call(key(system, project))
    beside = replace(within, path="/v1/chat/completions", model="gpt-4o-mini")
    return Case({**project, "provider": "mistral"}, within, beside)


def model(system: System) -> Case:
    project = {"project": name()}
    within = Call(key(system, project))
    beside = replace(within, model="mistral-large-latest")
    return Case({**project, "model": "*-small-*"}, within, beside)


def named(dimension: str, header: str) -> Callable[[System], Case]:
    """A header names it, where the key leaves it open."""

    def arrange(system: System) -> Case:
        own, other, secret = name(), name(), key(system, {"person": name()})
        calls = [
            Call(secret, headers={header: f"{PREFIXES.get(header, '')}{n}"}) for n in (own, other)
        ]
        return Case({dimension: own}, *calls)

    return arrange


PREFIXES = {"x-spendra-labels": "feature="}
CASES: dict[str, Callable[[System], Case]] = {
    "team": bound("team"),
    "team above a team": nested_team,
    "team of a project": above("team", "teams", ("project", "projects", "teams")),
    "second team of a project": second_team,
    "team of a person": above("team", "teams", ("person", "people", "teams")),
    "project": bound("project"),
    "project of an agent": above("project", "projects", ("agent", "agents", "project")),
    "person": bound("person"),
    "tier": bound("tier"),
    "tier of a person": above("tier", "tiers", ("person", "people", "tier")),
    "cost center": bound("cost_center"),
    "cost center of a project": above(
        "cost_center", "cost-centers", ("project", "projects", "cost_center")
    ),
    "cost center of a person": above(
        "cost_center", "cost-centers", ("person", "people", "cost_center")
    ),
    "cost center of a team": above("cost_center", "cost-centers", ("team", "teams", "cost_center")),
    "agent": bound("agent"),
    "agent above subagents": subagent,
    "key": one_key,
    "environment": environment,
    "provider": provider,
    "model": model,
    "run": named("run", "x-spendra-run-id"),
    "label": named("label:feature", "x-spendra-labels"),
    "project in a header": named("project", "x-spendra-project"),
    "team in a header": named("team", "x-spendra-department"),
}


def dollars(nanousd: int) -> str:
    return f"{nanousd // 10**9}.{nanousd % 10**9:09d}"


def refusal(system: System, call: Call) -> dict[str, Any]:
    """What a budget's refusal shows."""
    answer = ask(system, call)
    assert answer.status_code == 402, answer.text
    shown: dict[str, Any] = answer.json()["spendra"]
    return shown


@pytest.mark.parametrize("kind", CASES)
def test_a_budget_over_it_stops_what_is_within_and_nothing_else(system: System, kind: str) -> None:
    case = CASES[kind](system)
    spent = system.ended(ask(system, case.within).headers["x-spendra-decision-id"])["cost_nanousd"]
    budget = system.new_budget(case.selector, dollars(spent), period="none")
    path = f"/v1/budgets/{budget['id']}"

    refused = refusal(system, case.within)
    assert (refused["budget_id"], refused["remaining_nanousd"]) == (budget["id"], 0)
    passed = ask(system, case.beside)
    assert passed.status_code == 200, passed.text
    system.ended(passed.headers["x-spendra-decision-id"])
    assert system.drained(budget["id"])["settled_nanousd"] == spent

    fits = spent + refused["requested_nanousd"]
    system.ask("PATCH", path, {"limit_usd": dollars(fits - 1)})
    eventually(
        lambda: refusal(system, case.within), lambda shown: shown["limit_nanousd"] == fits - 1
    )
    system.ask("PATCH", path, {"limit_usd": dollars(fits)})
    eventually(
        lambda: {"status": ask(system, case.within).status_code}, lambda now: now["status"] == 200
    )
    refusal(system, case.within)


def test_what_was_spent_before_a_move_stays_where_it_was(system: System) -> None:
    teams = [make(system, "teams") for _ in range(2)]
    project = make(system, "projects", teams=teams[:1])
    call = Call(key(system, {"project": project}))
    budgets = [system.new_budget({"team": team}, "5", period="none") for team in teams]

    def spent() -> list[int]:
        return [int(system.drained(budget["id"])["settled_nanousd"]) for budget in budgets]

    first = system.ended(ask(system, call).headers["x-spendra-decision-id"])
    assert spent() == [first["cost_nanousd"], 0]
    system.ask("PATCH", f"/v1/projects/{project}", {"teams": teams[1:]})
    second = system.ended(ask(system, call).headers["x-spendra-decision-id"])
    assert spent() == [first["cost_nanousd"], second["cost_nanousd"]]
    for team, decision in zip(teams, (first, second), strict=True):
        (item,) = system.ask("GET", f"/v1/ledger?scope=team={team}")["items"]
        assert item["decision_id"] == decision["id"]


def test_a_closed_scope_stops_its_keys_and_keeps_its_history(system: System) -> None:
    lead = make(system, "agents")
    call = Call(key(system, {"agent": make(system, "agents", parent=lead)}))
    budget = system.new_budget({"agent": lead}, "5", period="none")
    first = system.ended(ask(system, call).headers["x-spendra-decision-id"])
    system.ask("PATCH", f"/v1/agents/{lead}", {"state": "archived"})
    refused = ask(system, call)
    assert (refused.status_code, refused.json()["code"]) == (401, "key_paused")
    assert system.drained(budget["id"])["settled_nanousd"] == first["cost_nanousd"]
    assert len(system.ask("GET", f"/v1/ledger?scope=agent={lead}")["items"]) == 1
    system.ask("PATCH", f"/v1/agents/{lead}", {"state": "active"})
    eventually(lambda: {"status": ask(system, call).status_code}, lambda now: now["status"] == 200)


def test_the_nearest_cost_center_is_charged(system: System) -> None:
    mine, theirs = make(system, "cost-centers"), make(system, "cost-centers")
    team = make(system, "teams", cost_center=theirs)
    project = make(system, "projects", teams=[team], cost_center=mine)
    call = Call(key(system, {"project": project}), headers={"x-spendra-labels": "cost_center=no"})
    system.ended(ask(system, call).headers["x-spendra-decision-id"])
    (item,) = system.ask("GET", f"/v1/ledger?scope=project={project}")["items"]
    assert {entry["account"] for entry in item["entries"]} == {f"expense:{mine}", "payable:mistral"}
