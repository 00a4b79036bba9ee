"""Channels and subscriptions, through the API."""

import asyncpg
import pytest

from spendra_control_plane.notices.events import EVENTS
from tests.control_plane.running import ControlPlane, Organization, found_organization

HOOK = {"name": "finance", "kind": "webhook", "url": "https://hooks.example.com/in?token=hidden"}


def test_a_webhook_shows_its_secret_once_and_of_its_address_the_origin_only(
    org: Organization,
) -> None:
    made = org.post("/v1/channels", HOOK)
    assert made.pop("signing_secret").startswith("whsec_")
    assert made["target"] == "https://hooks.example.com"
    shown = org.api.get(f"/v1/channels/{made['id']}")
    assert shown.json() == made
    assert "hidden" not in shown.text


def test_slack_and_email_have_no_signing_secret(org: Organization) -> None:
    slack = {"name": "s", "kind": "slack", "url": "https://hooks.slack.example/services/T/B/x"}
    email = {"name": "e", "kind": "email", "email": "ada@example.com"}
    assert "signing_secret" not in org.post("/v1/channels", slack)
    assert org.post("/v1/channels", email)["target"] == "ada@example.com"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"kind": "webhook", "url": "http://hooks.example.com"}, "https://"),
        ({"kind": "webhook", "url": "https://ada:pw@hooks.example.com"}, "user and password"),
        ({"kind": "webhook", "email": "ada@example.com"}, "needs 'url'"),
        ({"kind": "email", "url": "https://hooks.example.com"}, "needs 'email'"),
        ({"kind": "email", "email": "a@b.example\r\nBcc: c@d.example"}, "email"),
        ({"kind": "pager", "url": "https://hooks.example.com"}, "kind"),
        ({"kind": "webhook", "uri": "https://hooks.example.com"}, "did you mean 'url'"),
    ],
)
def test_what_leads_nowhere_is_refused(org: Organization, body: dict[str, str], said: str) -> None:
    assert said in org.post("/v1/channels", {"name": "x", **body}, 422)["detail"]


def test_a_channel_is_edited_paused_and_closed(org: Organization) -> None:
    made = org.post("/v1/channels", HOOK)
    path = f"/v1/channels/{made['id']}"
    edited = org.ask("PATCH", path, {"url": "https://other.example.com/x", "state": "paused"})
    assert (edited["target"], edited["state"]) == ("https://other.example.com", "paused")
    assert "email" in org.ask("PATCH", path, {"email": "ada@example.com"}, 422)["detail"]
    assert org.post(f"{path}/test", status=409)["code"] == "conflict"
    org.post("/v1/subscriptions", {"channel_id": made["id"], "events": ["*"]})
    assert org.ask("DELETE", path)["state"] == "closed"
    assert org.get(f"/v1/subscriptions?channel_id={made['id']}")["items"] == []
    assert org.ask("PATCH", path, {"name": "again"}, 409)["code"] == "conflict"


def test_an_edit_of_another_edition_is_refused(org: Organization) -> None:
    path = f"/v1/channels/{org.post('/v1/channels', HOOK)['id']}"
    tag = org.api.get(path).headers["etag"]
    assert org.api.patch(path, json={"name": "a"}, headers={"if-match": tag}).status_code == 200
    assert org.api.patch(path, json={"name": "b"}, headers={"if-match": tag}).status_code == 412


def test_subscriptions_name_events_and_budgets_that_exist(org: Organization, budget: str) -> None:
    channel = org.post("/v1/channels", HOOK)["id"]
    made = org.post(
        "/v1/subscriptions",
        {"channel_id": channel, "events": [min(EVENTS)], "budgets": [budget]},
    )
    assert org.get(f"/v1/subscriptions/{made['id']}") == made
    body = {"channel_id": channel, "events": ["budgets.*"]}
    assert "'budgets.*' is none of" in org.post("/v1/subscriptions", body, 422)["detail"]
    body = {"channel_id": channel, "events": ["*"], "budgets": ["bud_none"]}
    assert "bud_none" in org.post("/v1/subscriptions", body, 409)["detail"]
    body = {"channel_id": "chn_none", "events": ["*"]}
    assert org.post("/v1/subscriptions", body, 404)["code"] == "not_found"
    assert org.ask("DELETE", f"/v1/subscriptions/{made['id']}")["state"] == "removed"
    assert org.get("/v1/subscriptions")["items"] == []


def test_changes_are_audited_without_the_address(org: Organization) -> None:
    channel = org.post("/v1/channels", HOOK)["id"]
    org.post("/v1/subscriptions", {"channel_id": channel, "events": ["*"]})
    org.ask("DELETE", f"/v1/channels/{channel}")
    rows = org.get("/v1/audit?limit=20")["items"]
    seen = [
        (row["what"], row["action"]) for row in rows if row["what"] in {"channels", "subscriptions"}
    ]
    assert seen == [
        ("subscriptions", "delete"),
        ("channels", "update"),
        ("subscriptions", "insert"),
        ("channels", "insert"),
    ]
    assert "hidden" not in str(rows)


async def test_addresses_are_sealed_at_rest(org: Organization, control_plane: ControlPlane) -> None:
    channel = org.post("/v1/channels", HOOK)
    connection = await asyncpg.connect(control_plane.environ["SPENDRA_DATABASE_URL"])
    row = await connection.fetchrow("SELECT * FROM spendra.channels WHERE id = $1", channel["id"])
    await connection.close()
    assert row is not None
    assert b"hidden" not in row["address_sealed"]
    assert channel["signing_secret"].encode() not in row["signing_sealed"]


def test_another_organization_sees_none_of_it(
    org: Organization, control_plane: ControlPlane
) -> None:
    channel = org.post("/v1/channels", HOOK)["id"]
    delivery = org.post(f"/v1/channels/{channel}/test", status=202)["id"]
    stranger = found_organization(control_plane, "Other")
    with stranger.api:
        assert stranger.get("/v1/channels")["items"] == []
        assert stranger.get("/v1/notices")["items"] == []
        assert stranger.get("/v1/deliveries")["items"] == []
        stranger.get(f"/v1/channels/{channel}", 404)
        stranger.post(f"/v1/channels/{channel}/test", status=404)
        stranger.post(f"/v1/deliveries/{delivery}/replay", status=404)
        body = {"channel_id": channel, "events": ["*"]}
        stranger.post("/v1/subscriptions", body, 404)
