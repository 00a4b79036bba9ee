"""The audit: every change, by whom, why, and what it was before; nobody edits it."""

from typing import Any

import asyncpg
import pytest

from tests.control_plane.running import ControlPlane, Organization
from tests.control_plane.test_roles import client, token_of

BUDGET = {"name": "all", "period": "none", "limit_usd": "1", "kind": "hard"}


def found(org: Organization, **filters: str) -> list[dict[str, Any]]:
    answer = org.api.get("/v1/audit", params=filters)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_an_edit_names_its_actor_reason_before_and_after(org: Organization) -> None:
    budget = org.post("/v1/budgets", BUDGET)["id"]
    headers = {"x-audit-reason": "the quarter is over", "x-request-id": "r-1"}
    with client(org, token_of(org, "fay", ["finance"])) as fay:
        assert fay.patch(f"/v1/budgets/{budget}", json={"limit_usd": "2"}, headers=headers)
    edit, made = found(org, what="budgets", subject=budget)
    assert (edit["action"], edit["actor"]) == ("update", "person fay")
    assert (edit["reason"], edit["request_id"]) == ("the quarter is over", "r-1")
    limits = [edit[side]["limit_nanousd"] for side in ("before", "after")]
    assert limits == [1_000_000_000, 2_000_000_000]
    assert (made["action"], made["actor"], made["before"]) == ("insert", "admin token", None)
    assert (made["reason"], made["request_id"] != "r-1") == (None, True)


def _change_everything(org: Organization) -> None:
    org.post("/v1/teams", {"name": "payments"})
    org.post("/v1/projects", {"name": "checkout", "teams": ["payments"]})
    key = org.post("/v1/keys", {"name": "k"})["id"]
    org.post(f"/v1/keys/{key}/rotate", status=200)
    org.post("/v1/budgets", BUDGET)
    org.post("/v1/policies", {"name": "p", "rules": {"max_output_tokens": 5}})
    route = {"base_url": "https://api.example.com", "credential": "sk-very-secret"}
    org.ask("PUT", "/v1/providers/openai", route)
    org.ask("DELETE", "/v1/providers/openai")
    org.ask("PUT", "/v1/settings", {"default_output_tokens": 5})
    token_of(org, "ada", ["auditor"])


def test_each_kind_of_thing_is_audited_and_no_secret_is(org: Organization) -> None:
    _change_everything(org)
    items = found(org)
    assert {(one["what"], one["action"]) for one in items} >= {
        ("organizations", "insert"),
        ("organizations", "update"),
        ("admin_tokens", "insert"),
        ("sidecar_tokens", "insert"),
        ("scopes", "insert"),
        ("scope_parents", "insert"),
        ("keys", "insert"),
        ("key_hashes", "insert"),
        ("key_hashes", "update"),
        ("budgets", "insert"),
        ("policies", "insert"),
        ("provider_routes", "insert"),
        ("provider_routes", "delete"),
        ("members", "insert"),
        ("member_tokens", "insert"),
    }
    founding = [one for one in items if one["actor"] == "bootstrap token"]
    assert {one["what"] for one in founding} == {"organizations", "admin_tokens", "sidecar_tokens"}
    assert {one["actor"] for one in items} == {"bootstrap token", "admin token"}
    assert "sk-very-secret" not in repr(items)


def test_a_changed_credential_shows_as_another_print(org: Organization) -> None:
    route = {"base_url": "https://api.example.com", "credential": "one"}
    for credential in ("one", "two"):
        org.ask("PUT", "/v1/providers/openai", {**route, "credential": credential})
    edit = found(org, what="provider_routes")[0]
    assert edit["before"]["credential_sealed"] != edit["after"]["credential_sealed"]
    assert len(edit["after"]["credential_sealed"]) == 12


def test_what_changes_nothing_is_not_there(org: Organization) -> None:
    for _ in "ab":
        org.ask("PUT", "/v1/settings", {"default_output_tokens": 7})
    assert len(found(org, what="organizations")) == 2
    for _ in "ab":
        route = {"base_url": "https://api.example.com", "credential": "the same"}
        org.ask("PUT", "/v1/providers/openai", route)
    assert len(found(org, what="provider_routes")) == 1


def test_pages_and_filters_lead_through_all_of_it(org: Organization) -> None:
    _change_everything(org)
    whole, paged, cursor = [one["id"] for one in found(org)], [], ""
    while cursor is not None:
        page = org.get(f"/v1/audit?limit=3&cursor={cursor}")
        paged += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert paged == whole == sorted(whole, reverse=True)
    assert found(org, actor="nobody") == found(org, to="2001-01-01") == []
    assert [one["id"] for one in found(org, **{"from": "2001-01-01"})] == whole


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE spendra.audit SET actor = 'another' WHERE org_id = $1",
        "DELETE FROM spendra.audit WHERE org_id = $1",
    ],
)
async def test_it_is_append_only(control_plane: ControlPlane, org: Organization, sql: str) -> None:
    connection = await asyncpg.connect(control_plane.environ["SPENDRA_DATABASE_URL"])
    try:
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute(sql, org.id)
    finally:
        await connection.close()


async def test_a_change_past_the_api_names_the_database_role(
    control_plane: ControlPlane, org: Organization
) -> None:
    budget = org.post("/v1/budgets", BUDGET)["id"]
    connection = await asyncpg.connect(control_plane.environ["SPENDRA_DATABASE_URL"])
    sql = "UPDATE spendra.budgets SET limit_nanousd = 9 WHERE id = $1"
    await connection.execute(sql, budget)
    role = await connection.fetchval("SELECT session_user")
    await connection.close()
    assert found(org, subject=budget)[0]["actor"] == f"database role {role}"


def test_a_reason_that_cannot_be_kept_is_refused(org: Organization) -> None:
    headers = {"x-audit-reason": "x" * 501}
    assert org.api.post("/v1/budgets", json=BUDGET, headers=headers).status_code == 422
    assert org.get("/v1/budgets")["items"] == []
