"""A key for several projects: each request says in which it is, and counts there."""

from typing import Any

import openai
import pytest

from tests.system.conftest import System

ASKED: Any = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "Say hello."}],
    "max_tokens": 5,
}


def test_each_request_counts_in_the_project_that_it_names(system: System) -> None:
    for team, project in (("front", "shop"), ("back", "stock")):
        system.ask("POST", "/v1/teams", {"name": team})
        system.ask("POST", "/v1/projects", {"name": project, "teams": [team]})
    budgets = {
        team: system.ask(
            "POST",
            "/v1/budgets",
            {"name": team, "scope": {"team": team}, "period": "day", "limit_usd": "1",
             "kind": "hard"},
        )["id"]
        for team in ("front", "back")
    }  # fmt: skip
    body = {"name": "agent", "projects": ["shop", "stock"]}
    client = system.openai(system.ask("POST", "/v1/keys", body)["key"])

    def ask(**headers: str) -> str:
        raw = client.chat.completions.with_raw_response.create(**ASKED, extra_headers=headers)
        return str(raw.headers["x-spendra-decision-id"])

    decision = system.ended(ask(**{"x-spendra-project": "shop"}))
    assert decision["scope"]["project"] == ["shop"]
    assert [one["id"] for one in decision["budgets"] if one["id"] in budgets.values()] == [
        budgets["front"]
    ]
    for headers in ({}, {"x-spendra-project": "elsewhere"}):
        with pytest.raises(openai.PermissionDeniedError) as refused:
            ask(**headers)
        assert refused.value.code == "project_missing"
        assert "shop, stock" in str(refused.value)
    assert len(list(client.models.list())) > 0, "what is free is nobody's"
