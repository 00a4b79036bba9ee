"""What every route shares: stable codes, editions, repeats, and pace."""

from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendra_control_plane.api.pace import Pace
from spendra_control_plane.api.paging import encode
from tests.control_plane.running import (
    ControlPlane,
    Organization,
    found_organization,
    migrate,
    settings,
    start_control_plane,
)
from tests.servers import Postgres, Server

BUDGET = {"name": "all", "period": "none", "limit_usd": "1", "kind": "hard"}


def test_a_problem_has_a_code_a_type_and_the_request_id(org: Organization) -> None:
    answer = org.api.get("/v1/budgets/none", headers={"x-request-id": "mine-1"})
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["code"], problem["type"]) == ("not_found", "urn:spendra:problem:not_found")
    assert problem["request_id"] == answer.headers["x-request-id"] == "mine-1"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/v1/keys?stat=active", "unknown parameter 'stat'; did you mean 'state'?"),
        ("/v1/spend?group=model", "unknown parameter 'group'; the parameters are by, from"),
        ("/v1/exports/finance.csv?limit=5", "unknown parameter 'limit'; the parameters are from"),
        ("/v1/me?as=somebody", "as: nothing is asked in the query here."),
    ],
)
def test_a_question_that_is_not_understood_is_not_answered(
    org: Organization, path: str, says: str
) -> None:
    problem = org.get(path, 422)
    assert problem["code"] == "invalid_request"
    assert says in problem["detail"]


def _made(org: Organization, what: str) -> tuple[str, dict[str, object]]:
    """The path of a new thing of each kind that can be edited, and an edit of it."""
    if what == "budget":
        return f"/v1/budgets/{org.post('/v1/budgets', BUDGET)['id']}", {"limit_usd": "2"}
    if what == "policy":
        body = {"name": "p", "rules": {"max_output_tokens": 5}}
        return f"/v1/policies/{org.post('/v1/policies', body)['id']}", {"name": "q"}
    org.post("/v1/projects", {"name": "checkout"})
    return "/v1/projects/checkout", {"display_name": "Checkout"}


@pytest.mark.parametrize("what", ["budget", "policy", "project"])
def test_an_edit_of_another_edition_is_refused_and_changes_nothing(
    org: Organization, what: str
) -> None:
    path, edit = _made(org, what)
    before = org.api.get(path)
    meant = {"if-match": before.headers["etag"]}
    done = org.api.patch(path, json=edit, headers=meant)
    assert done.status_code == 200, done.text
    assert done.headers["etag"] != before.headers["etag"]
    late = org.api.patch(path, json=edit, headers=meant)
    assert (late.status_code, late.json()["code"]) == (412, "changed_meanwhile")
    after = org.api.get(path)
    assert after.headers["etag"] == done.headers["etag"]
    assert after.json() == done.json()


def test_settings_and_routes_have_editions_too(org: Organization) -> None:
    route = {"base_url": "https://api.example.com"}
    org.ask("PUT", "/v1/providers/openai", route)
    for path, body in (
        ("/v1/settings", {"default_output_tokens": 5}),
        ("/v1/providers/openai", {**route, "models": ["a"]}),
    ):
        meant = {"if-match": org.api.get(path).headers["etag"]}
        assert org.api.put(path, json=body, headers=meant).status_code == 200
        assert org.api.put(path, json=body, headers=meant).status_code == 412
    assert org.api.delete("/v1/providers/openai", headers={"if-match": '"x"'}).status_code == 412
    assert org.api.delete("/v1/providers/openai", headers={"if-match": "*"}).status_code == 200


def test_a_post_with_a_key_is_done_once_and_answered_alike(org: Organization) -> None:
    headers = {"idempotency-key": "one"}
    first, again = (org.api.post("/v1/keys", json={"name": "k"}, headers=headers) for _ in "ab")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(org.get("/v1/keys")["items"]) == 1


def test_a_key_is_not_lent_to_another_request(org: Organization) -> None:
    headers = {"idempotency-key": "one"}
    org.api.post("/v1/keys", json={"name": "k"}, headers=headers)
    other = org.api.post("/v1/keys", json={"name": "other"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_a_request_that_did_nothing_frees_its_key(org: Organization) -> None:
    headers = {"idempotency-key": "one"}
    assert org.api.post("/v1/keys", json={"nam": "k"}, headers=headers).status_code == 422
    assert org.api.post("/v1/keys", json={"name": "k"}, headers=headers).status_code == 201


def test_keys_of_two_organizations_do_not_meet(
    control_plane: ControlPlane, org: Organization
) -> None:
    headers = {"idempotency-key": "one"}
    mine = org.api.post("/v1/keys", json={"name": "k"}, headers=headers).json()
    with found_organization(control_plane).api as other:
        theirs = other.post("/v1/keys", json={"name": "k"}, headers=headers).json()
    assert mine["id"] != theirs["id"]


@pytest.mark.parametrize("path", ["/v1/budgets/a%00b", "/v1/keys?cursor=%00"])
def test_a_nul_names_nothing(org: Organization, path: str) -> None:
    assert org.get(path, 422)["code"] == "invalid_request"


@pytest.mark.parametrize("key", ["not-a-uuid", "a\0b"])
@pytest.mark.parametrize("path", ["reservations", "keys"])
def test_a_made_up_cursor_is_refused_or_harmless(org: Organization, path: str, key: str) -> None:
    answer = org.api.get(f"/v1/{path}", params={"cursor": encode([key])})
    assert answer.status_code == (200 if (path, key) == ("keys", "not-a-uuid") else 422)


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800"])
def test_what_cannot_be_stored_is_refused(org: Organization, text: str) -> None:
    content = b'{"name": "a", "attributes": {"note": "%s"}}' % text.encode()
    headers = {"content-type": "application/json"}
    assert org.api.post("/v1/teams", content=content, headers=headers).status_code == 422


@given(st.integers(1, 50), st.lists(st.floats(0, 20), max_size=200))
def test_no_minute_holds_more_than_two_bursts(per_minute: int, pauses: list[float]) -> None:
    pace, now, taken = Pace(per_minute), 0.0, []
    for pause in pauses:
        now += pause
        if pace.take("a", now) == 0:
            taken.append(now)
    for moment in taken:
        assert len([one for one in taken if moment <= one < moment + 60]) <= 2 * per_minute


def test_pace_is_each_callers_own_and_comes_back() -> None:
    pace = Pace(2)
    assert [pace.take("a", 0), pace.take("a", 0), pace.take("a", 0)] == [0, 0, 30]
    assert pace.take("b", 0) == 0
    assert (pace.take("a", 29), pace.take("a", 30)) == (1, 0)


def test_haste_is_refused_by_token_and_by_failed_sign_ins(
    postgres: Postgres, valkey: Server, tmp_path: Path
) -> None:
    environ = settings(postgres.create_database("haste"), valkey.url)
    environ |= {"SPENDRA_API_REQUESTS_PER_MINUTE": "5", "SPENDRA_API_FAILURES_PER_MINUTE": "3"}
    assert migrate(environ).returncode == 0
    plane = start_control_plane(environ, tmp_path / "log")
    try:
        _hurry(found_organization(plane))
    finally:
        plane.stop()


def _hurry(org: Organization) -> None:
    with org.api as mine, org.as_sidecar() as other:
        statuses = [mine.get("/v1/keys").status_code for _ in range(6)]
        assert statuses == [200] * 5 + [429]
        last = mine.get("/v1/keys")
        assert (last.json()["code"], last.headers["retry-after"]) == ("too_many_requests", "12")
        assert [other.get("/v1/keys").status_code for _ in range(4)] == [401, 401, 401, 429]
    assert httpx.get(f"{org.url}/healthz").status_code == 200
