"""Organizations, who may ask for what, and what every answer has in common."""

import httpx
import pytest

from tests.control_plane.running import (
    BOOTSTRAP_TOKEN,
    ControlPlane,
    Organization,
    found_organization,
)

ROUTES = [
    ("GET", "/v1/keys"),
    ("POST", "/v1/keys"),
    ("GET", "/v1/budgets"),
    ("GET", "/v1/budgets/bud_1/spend"),
    ("GET", "/v1/policies"),
    ("GET", "/v1/providers"),
    ("GET", "/v1/projects"),
    ("GET", "/v1/settings"),
    ("GET", "/v1/organization"),
    ("POST", "/v1/organization/freeze"),
    ("POST", "/v1/organization/unfreeze"),
    ("GET", "/v1/sidecars"),
    ("GET", "/v1/ledger"),
    ("GET", "/v1/decisions/x"),
]


def test_it_is_born_with_tokens_and_a_signed_empty_snapshot(org: Organization) -> None:
    assert org.id.startswith("org_")
    assert org.sidecar_token.startswith(f"sps_{org.id}_")
    snapshot = org.snapshot()
    assert (snapshot.manifest.org_id, snapshot.manifest.version) == (org.id, 1)
    assert (snapshot.keys, snapshot.policy.budgets, snapshot.policy.policies) == ([], [], [])


def test_they_are_listed_without_tokens(control_plane: ControlPlane, org: Organization) -> None:
    with control_plane.with_bootstrap() as client:
        listed = client.get("/v1/organizations", params={"limit": 1000}).json()["items"]
    mine = next(one for one in listed if one["id"] == org.id)
    assert mine["config_version"] == 1
    assert not {"admin_token", "sidecar_token"} & mine.keys()


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_a_token_nothing_answers(
    control_plane: ControlPlane, method: str, path: str
) -> None:
    answer = httpx.request(method, control_plane.url + path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "Authorization: Bearer" in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_the_bootstrap_token_is_not_an_organizations(
    control_plane: ControlPlane, method: str, path: str
) -> None:
    with control_plane.with_bootstrap() as client:
        answer = client.request(method, path)
    assert answer.status_code == 403
    assert "use the organization's admin token" in answer.json()["detail"]


def test_an_unknown_token_and_a_sidecars_token_are_refused(org: Organization) -> None:
    for token in ("spa_nobody", org.sidecar_token):
        headers = {"authorization": f"Bearer {token}"}
        assert httpx.get(f"{org.url}/v1/keys", headers=headers).status_code == 401


def test_an_admin_token_opens_neither_organizations_nor_the_stream(org: Organization) -> None:
    assert org.get("/v1/organizations", 401)["title"] == "Not authenticated"
    query = {"sidecar_id": "s"}
    assert org.api.get("/sidecar/v1/snapshots", params=query).status_code == 401
    assert org.api.post("/sidecar/v1/acknowledgements", json={}).status_code == 401


def test_one_organization_does_not_see_another(
    control_plane: ControlPlane, org: Organization
) -> None:
    other = found_organization(control_plane)
    with other.api:
        key = org.post("/v1/keys", {"name": "mine"})
        other.get(f"/v1/keys/{key['id']}", 404)
        other.post(f"/v1/keys/{key['id']}/revoke", status=404)
        assert other.get("/v1/keys")["items"] == []


def test_settings_reach_the_snapshot(org: Organization) -> None:
    assert org.get("/v1/settings") == {"default_output_tokens": 16384}
    org.ask("PUT", "/v1/settings", {"default_output_tokens": 1000})
    assert org.get("/v1/settings") == {"default_output_tokens": 1000}
    assert org.snapshot().policy.default_output_tokens == 1000


@pytest.mark.parametrize("value", [0, -1, 1.5, 10.0, "100", True, None])
def test_settings_take_whole_positive_numbers_only(org: Organization, value: object) -> None:
    org.ask("PUT", "/v1/settings", {"default_output_tokens": value}, 422)


def test_each_problem_says_what_to_do_and_carries_the_request_id(org: Organization) -> None:
    answer = org.api.post("/v1/keys", json={"nam": "x"}, headers={"x-request-id": "mine-1"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "mine-1"
    problem = answer.json()
    assert (problem["status"], problem["request_id"]) == (422, "mine-1")
    assert problem["detail"] == "unknown field 'nam'; did you mean 'name'?"


def test_a_request_id_that_is_not_plain_is_replaced(org: Organization) -> None:
    answer = org.api.get("/v1/keys", headers={"x-request-id": "a b"})
    assert len(answer.headers["x-request-id"]) == 36


def test_unknown_paths_and_methods_are_problems_too(org: Organization) -> None:
    assert org.get("/v1/nothing", 404)["detail"] == "There is no GET /v1/nothing here."
    assert org.ask("DELETE", "/v1/keys", None, 405)["detail"] == "/v1/keys does not take DELETE."


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'{"name": NaN}'])
def test_a_body_that_is_not_an_object_is_refused(org: Organization, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    assert org.api.post("/v1/keys", content=body, headers=headers).status_code == 422


def test_health_readiness_and_metrics_need_no_token(control_plane: ControlPlane) -> None:
    with httpx.Client(base_url=control_plane.url) as client:
        assert client.get("/healthz").json() == {"state": "up"}
        ready = client.get("/readyz")
        assert ready.json() == {"state": "ready", "postgres": "up", "redis": "up"}
        text = client.get("/metrics").text
    assert 'spendra_control_plane_requests_total{method="GET",route="/healthz"' in text
    assert BOOTSTRAP_TOKEN not in text


def test_pages_follow_one_another(org: Organization) -> None:
    made = {org.post("/v1/keys", {"name": f"key {number}"})["id"] for number in range(5)}
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = org.get(f"/v1/keys?limit=2&cursor={cursor}")
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == sorted(made)


@pytest.mark.parametrize("query", ["cursor=rubbish", "cursor=WzFd", "limit=0", "limit=5000"])
def test_a_wrong_page_is_refused(org: Organization, query: str) -> None:
    org.get(f"/v1/keys?{query}", 422)


def test_spending_is_stopped_and_resumed(org: Organization) -> None:
    """What sidecars do then is tested beside the ledger."""
    assert org.get("/v1/organization")["is_frozen"] is False
    reason = {"reason": "a runaway agent"}
    first = org.post("/v1/organization/freeze", reason, status=200)
    again = org.post("/v1/organization/freeze", status=200)
    assert first["is_frozen"]
    assert (first["frozen_reason"], again["frozen_reason"]) == ("a runaway agent", None)
    assert again["frozen_at"] == first["frozen_at"]
    assert not org.post("/v1/organization/unfreeze", status=200)["is_frozen"]
