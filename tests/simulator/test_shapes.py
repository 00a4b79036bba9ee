"""What a request can ask of the simulated provider, and what it remembers."""

import json
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

from spendra.command.simulator.shape import Shape, ShapeError, shaped

BODY = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "hi"}],
    "stream_options": {"include_usage": True},
}
CHAT = "/v1/chat/completions"


def ask(http: httpx.Client, words: str, *, stream: bool = False) -> httpx.Response:
    return http.post(CHAT, json=BODY | {"stream": stream}, headers={"x-simulate": words})


def journal(http: httpx.Client) -> list[dict[str, object]]:
    requests: list[dict[str, object]] = http.get("/simulator/requests").json()["requests"]
    return requests


def test_each_word_changes_its_field_and_no_other() -> None:
    words = "status=429, delay-ms=5,chunk-ms=6,tokens=7,cut-after=0,usage-twice,drop,replay=x"
    assert shaped(Shape(), words) == Shape(
        status=429,
        delay_ms=5,
        chunk_ms=6,
        tokens=7,
        cut_after=0,
        usage="twice",
        drop=True,
        replay="x",
    )
    assert shaped(Shape(tokens=9), "no-usage") == Shape(tokens=9, usage="none")
    assert shaped(Shape(tokens=9), "") == Shape(tokens=9)


@pytest.mark.parametrize("word", ["status", "status=", "status=-1", "fly", "replay", "no-usage=1"])
def test_a_word_that_is_not_understood_is_an_error(http: httpx.Client, word: str) -> None:
    with pytest.raises(ShapeError, match="is not understood"):
        shaped(Shape(), word)
    assert ask(http, word).status_code == 400


def test_usage_can_be_missing_or_doubled(http: httpx.Client) -> None:
    assert "usage" in ask(http, "").json()
    assert "usage" not in ask(http, "no-usage").json()
    counted = {
        words: ask(http, words, stream=True).text.count('"prompt_tokens"')
        for words in ("", "no-usage", "usage-twice")
    }
    assert counted == {"": 1, "no-usage": 0, "usage-twice": 2}


def test_a_stream_is_data_only_and_ends_with_done(http: httpx.Client) -> None:
    answer = ask(http, "tokens=3", stream=True)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = answer.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all(event.startswith("data: {") for event in events[:-2])


def test_any_prefix_before_the_version_is_served(http: httpx.Client) -> None:
    assert http.post(f"/openai/eu{CHAT}", json=BODY).status_code == 200
    assert http.post("/v1/unheard-of", json=BODY).status_code == 404
    assert http.get(CHAT).status_code == 404


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"messages": []}', b'{"model": "m"}', b'{"model": 1}']
)
def test_a_body_that_is_no_chat_is_400(http: httpx.Client, body: bytes) -> None:
    answer = http.post(CHAT, content=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_what_arrived_is_remembered_without_its_body(http: httpx.Client) -> None:
    http.post(CHAT, json=BODY | {"max_tokens": 2, "stream": True})
    ask(http, "status=503")
    first, second = journal(http)
    assert first == {
        "serial": 1,
        "method": "POST",
        "path": CHAT,
        "provider": "openai",
        "model": "gpt-4o-mini",
        "max_tokens": 2,
        "stream": True,
        "status": 200,
        "outcome": "complete",
        "sent_pieces": 6,
    }
    assert (second["status"], second["outcome"]) == (503, "complete")


def test_a_cut_and_a_caller_who_left_are_told_apart(http: httpx.Client, provider_url: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        ask(http, "cut-after=2", stream=True)
    words = {"x-simulate": "chunk-ms=20,tokens=1000"}
    with (
        httpx.Client(base_url=provider_url, headers=http.headers) as leaving,
        leaving.stream("POST", CHAT, json=BODY | {"stream": True}, headers=words) as answer,
    ):
        next(answer.iter_bytes())
    while (left := journal(http)[1])["outcome"] == "open":
        time.sleep(0.02)
    assert journal(http)[0]["outcome"] == "cut"
    assert left["outcome"] == "disconnected"
    assert 0 < int(str(left["sent_pieces"])) < 1000


def test_a_caller_who_reads_slowly_holds_the_stream_back(http: httpx.Client) -> None:
    words = {"x-simulate": "tokens=100000"}
    with http.stream("POST", CHAT, json=BODY | {"stream": True}, headers=words) as answer:
        pieces = answer.iter_raw()
        read = len(next(pieces))
        begun: int = int(str(journal(http)[0]["sent_pieces"]))
        assert begun < 100_000
        read += sum(map(len, pieces))
    assert read > 100_000 * 100
    assert journal(http)[0]["outcome"] == "complete"


def test_a_delay_holds_up_nobody_else(http: httpx.Client, provider_url: str) -> None:
    body = json.dumps(BODY).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nx-simulate: delay-ms=600000\r\n"
    address = urlsplit(provider_url)
    with socket.create_connection((address.hostname, address.port)) as waiting:
        head += f"authorization: Bearer x\r\ncontent-length: {len(body)}\r\n\r\n"
        waiting.sendall(head.encode() + body)
        while not journal(http):
            time.sleep(0.01)
        assert ask(http, "").status_code == 200
        assert [entry["outcome"] for entry in journal(http)] == ["open", "complete"]


def test_requests_that_come_together_are_answered_in_order(provider_url: str) -> None:
    lines = "".join(
        f"GET /v1/{path} HTTP/1.1\r\nhost: x\r\n"
        f"authorization: Bearer sk\r\nx-simulate: delay-ms={delay}\r\n\r\n"
        for path, delay in (("models", 30), ("nothing", 0), ("models", 1))
    )
    address = urlsplit(provider_url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(lines.encode() + b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404", b"200", b"404"]


def test_a_recorded_answer_comes_back_byte_for_byte(http: httpx.Client) -> None:
    answer = http.post("/v1beta/models/x:y", headers={"x-simulate": "replay=plain-1"})
    assert answer.status_code == 418
    assert answer.content == b'{\n  "usage": {"input_tokens": 3}\n}\n'
    assert answer.headers["content-type"] == "application/json; x=y"
    assert answer.headers["request-id"] == "r1"
    assert answer.headers["content-length"] == str(len(answer.content))


def test_a_recorded_stream_comes_back_event_by_event(http: httpx.Client) -> None:
    answer = http.post("/v1/messages", headers={"x-simulate": "replay=stream-1"})
    assert answer.content == b"event: a\r\ndata: {}\r\n\r\ndata: 2\n\ndata: 3"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert journal(http)[0]["sent_pieces"] == 3
    with pytest.raises(httpx.RemoteProtocolError):
        http.post("/v1/messages", headers={"x-simulate": "replay=stream-1,cut-after=1"})


def test_a_recorded_answer_that_is_not_there_is_400(http: httpx.Client) -> None:
    assert http.get("/x", headers={"x-simulate": "replay=no-such"}).status_code == 400
