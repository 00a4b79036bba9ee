"""From the outbox to receivers: each kind of channel, failures, replays, and workers that die."""

import base64
import hashlib
import hmac
import json
import signal
import time
from datetime import timedelta
from typing import Any

import pytest

from spendra_control_plane.worker.notifying import Patience
from tests.control_plane.books import Books
from tests.control_plane.running import ControlPlane, Organization
from tests.notices.conftest import Start, eventually
from tests.notices.receivers import MailServer, Receiver
from tests.servers import free_port, wait_for_port


def webhook(org: Organization, receiver: Receiver) -> dict[str, Any]:
    return org.post("/v1/channels", {"name": "hook", "kind": "webhook", "url": receiver.url})


def try_it(org: Organization, channel: dict[str, Any]) -> str:
    """The delivery's id."""
    return str(org.post(f"/v1/channels/{channel['id']}/test", status=202)["id"])


def state(org: Organization, delivery: str) -> str:
    return str(org.get(f"/v1/deliveries/{delivery}")["state"])


@pytest.mark.usefixtures("worker")
def test_a_webhook_is_signed_as_standard_webhooks_say(
    org: Organization, receiver: Receiver
) -> None:
    channel = webhook(org, receiver)
    delivery = try_it(org, channel)
    eventually(lambda: state(org, delivery) == "delivered")
    (got,) = receiver.received
    secret = base64.b64decode(channel["signing_secret"].removeprefix("whsec_"))
    signed = f"{delivery}.{got.headers['webhook-timestamp']}.".encode() + got.body
    mac = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-id"] == delivery
    assert got.headers["webhook-signature"] == f"v1,{mac}"
    assert abs(int(got.headers["webhook-timestamp"]) - time.time()) < 300
    sent = json.loads(got.body)
    assert (sent["type"], sent["data"]["org_id"]) == ("channel.test", org.id)
    assert (
        sent["data"]["title"] == "This is a test of the channel 'hook', asked for by admin token."
    )


@pytest.mark.usefixtures("worker")
def test_slack_gets_one_text(org: Organization, receiver: Receiver) -> None:
    body = {"name": "<b>&", "kind": "slack", "url": f"{receiver.url}/services/T/B/secret"}
    delivery = try_it(org, org.post("/v1/channels", body))
    eventually(lambda: state(org, delivery) == "delivered")
    (got,) = receiver.received
    assert got.path == "/services/T/B/secret"
    assert "webhook-signature" not in got.headers
    (text,) = json.loads(got.body).values()
    assert text.startswith("*This is a test of the channel '&lt;b&gt;&amp;'")


@pytest.mark.usefixtures("worker")
def test_email_is_sent_by_smtp(org: Organization, mail_server: MailServer) -> None:
    body = {"name": "post", "kind": "email", "email": f"{org.id}@example.com"}
    delivery = try_it(org, org.post("/v1/channels", body))
    eventually(lambda: state(org, delivery) == "delivered")
    (letter,) = [text for text in mail_server.letters if org.id in text]
    assert f"Message-ID: <{delivery}@example.com>" in letter
    assert "Subject: This is a test of the channel 'post', asked for by admin token." in letter
    assert f"{org.id}@example.com" in mail_server.recipients


@pytest.mark.usefixtures("worker")
def test_what_fails_is_tried_again_under_the_same_id(org: Organization, receiver: Receiver) -> None:
    receiver.answer = lambda number: 503 if number < 3 else 200
    delivery = try_it(org, webhook(org, receiver))
    eventually(lambda: state(org, delivery) == "delivered")
    assert [got.headers["webhook-id"] for got in receiver.received] == [delivery] * 3
    assert org.get(f"/v1/deliveries/{delivery}")["attempts"] == 3


def test_after_its_attempts_it_is_dead_until_it_is_replayed(
    org: Organization, receiver: Receiver, start_worker: Start
) -> None:
    start_worker(SPENDRA_NOTICE_ATTEMPTS="2")
    receiver.answer = lambda _number: 302
    channel = webhook(org, receiver)
    delivery = try_it(org, channel)
    eventually(lambda: state(org, delivery) == "dead")
    dead = org.get("/v1/deliveries?state=dead")["items"]
    assert [(one["id"], one["last_error"]) for one in dead] == [
        (delivery, "the receiver answered 302")
    ]
    assert {got.path for got in receiver.received} == {"/"}
    receiver.answer = lambda _number: 200
    assert org.post(f"/v1/deliveries/{delivery}/replay", status=202)["state"] == "waiting"
    eventually(lambda: state(org, delivery) == "delivered")
    assert {got.headers["webhook-id"] for got in receiver.received} == {delivery}


@pytest.mark.usefixtures("worker")
def test_a_replay_of_what_arrived_sends_it_again(org: Organization, receiver: Receiver) -> None:
    delivery = try_it(org, webhook(org, receiver))
    eventually(lambda: state(org, delivery) == "delivered")
    org.post(f"/v1/deliveries/{delivery}/replay", status=202)
    eventually(lambda: len(receiver.received) == 2)
    assert {got.headers["webhook-id"] for got in receiver.received} == {delivery}


@pytest.mark.usefixtures("worker")
def test_nobody_there_is_told_without_the_address(org: Organization) -> None:
    url = f"http://127.0.0.1:{free_port()}/secret-path"
    channel = org.post("/v1/channels", {"name": "hook", "kind": "webhook", "url": url})
    delivery = try_it(org, channel)
    eventually(lambda: org.get(f"/v1/deliveries/{delivery}")["last_error"] is not None)
    found = org.get(f"/v1/deliveries/{delivery}")
    assert found["last_error"] == "it could not be sent: ConnectError"
    assert org.post(f"/v1/deliveries/{delivery}/replay", status=409)["code"] == "conflict"


def test_what_a_closed_channel_had_waiting_is_dead(
    org: Organization, receiver: Receiver, start_worker: Start
) -> None:
    channel = webhook(org, receiver)
    delivery = try_it(org, channel)
    org.ask("DELETE", f"/v1/channels/{channel['id']}")
    start_worker()
    eventually(lambda: state(org, delivery) == "dead")
    assert receiver.received == []


async def test_each_of_many_arrives_once_over_two_workers(
    org: Organization, receiver: Receiver, start_worker: Start
) -> None:
    start_worker()
    start_worker()
    channel = webhook(org, receiver)
    sent = {try_it(org, channel) for _ in range(40)}
    eventually(lambda: all(state(org, one) == "delivered" for one in sent))
    assert sorted(got.headers["webhook-id"] for got in receiver.received) == sorted(sent)


def test_the_job_of_a_killed_worker_is_done_by_another(
    org: Organization, receiver: Receiver, start_worker: Start
) -> None:
    """The first is killed while its receivers let it wait; the second is asked from then on."""
    first = start_worker()
    reached, killed = [], []

    def answer(number: int) -> int:
        reached.append(number)
        while not killed:
            time.sleep(0.02)
        return 200

    receiver.answer = answer
    channel = webhook(org, receiver)
    sent = {try_it(org, channel) for _ in range(5)}
    eventually(lambda: bool(reached))
    first.send_signal(signal.SIGKILL)
    first.wait()
    held = {got.headers["webhook-id"] for got in receiver.received}
    killed.append(True)
    start_worker()
    eventually(lambda: all(state(org, one) == "delivered" for one in sent))
    again = [got.headers["webhook-id"] for got in receiver.received]
    assert held <= sent
    assert {one: again.count(one) for one in sent} == {one: 2 if one in held else 1 for one in sent}


async def test_a_delivery_whose_job_is_gone_becomes_a_job_again(
    org: Organization, receiver: Receiver, books: Books, start_worker: Start
) -> None:
    """As after a restore of everything but the queue."""
    delivery = try_it(org, webhook(org, receiver))
    await books.connection.execute(
        "UPDATE spendra.deliveries SET queued_at = now() - interval '1 hour'"
        " WHERE id = $1::text::uuid",
        delivery,
    )
    start_worker()
    eventually(lambda: state(org, delivery) == "delivered")


def test_without_the_master_key_a_worker_sends_nothing_and_goes_on(
    org: Organization, receiver: Receiver, start_worker: Start
) -> None:
    port = free_port()
    start_worker(SPENDRA_MASTER_KEY="", SPENDRA_WORKER_PORT=str(port))
    wait_for_port(port)
    delivery = try_it(org, webhook(org, receiver))
    with_key = start_worker()
    eventually(lambda: state(org, delivery) == "delivered")
    assert with_key.poll() is None


async def test_jobs_go_on_after_postgres_was_away(
    org: Organization,
    control_plane: ControlPlane,
    receiver: Receiver,
    books: Books,
    start_worker: Start,
) -> None:
    worker = start_worker()
    channel = webhook(org, receiver)
    first = try_it(org, channel)
    eventually(lambda: state(org, first) == "delivered")
    await books.connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    eventually(lambda: control_plane.process.poll() is None)
    eventually(lambda: org.api.post(f"/v1/channels/{channel['id']}/test").status_code == 202)
    eventually(lambda: len(receiver.received) >= 2)
    assert worker.poll() is None


def test_each_wait_is_four_times_the_one_before() -> None:
    patience = Patience(8, timedelta(seconds=5))
    waits = [patience.wait(attempts) for attempts in range(1, 9)]
    assert waits == [timedelta(seconds=s) for s in (5, 20, 80, 320, 1280, 5120, 20480)] + [None]
    assert Patience(99, timedelta(hours=1)).wait(50) == timedelta(hours=6)
