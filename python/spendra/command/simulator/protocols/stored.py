"""Files and batches of OpenAI and Anthropic, and OpenRouter's record of a generation."""

from dataclasses import replace
from typing import Any, Final

import msgspec

from spendra.command.simulator.answer import Answer
from spendra.command.simulator.call import Call, Refused
from spendra.command.simulator.protocols import chat
from spendra.command.simulator.protocols.single import form, part
from spendra.command.simulator.store import Record

_TIME: Final = "2026-01-01T00:00:00Z"
_encode = msgspec.json.encode


# --- files --------------------------------------------------------------------------------


def upload(call: Call) -> Record:
    """A form with `file`, and at OpenAI `purpose`."""
    found = part(call.request.body, "file")
    if found is None:
        raise Refused(400, "'file' is a required property", "file")
    name, content = (found["filename"] or b"file").decode(), found["value"]
    purpose = form(call, "purpose").get("purpose", "user_data")
    return _keep(call, f"file-sim{call.entry.serial}", name, content, purpose)


def _keep(call: Call, identity: str, name: str, content: bytes, purpose: str) -> Record:
    if call.family == "anthropic":
        shape = {"type": "file", "size_bytes": len(content), "created_at": _TIME}
        more = {"mime_type": "text/plain", "downloadable": True}
    else:
        shape = {"object": "file", "bytes": len(content), "created_at": call.now}
        more = {"purpose": purpose, "status": "processed"}
    record = {"id": identity, "filename": name, **shape, **more}
    return call.store.put(identity, record, content)


def files(call: Call) -> Record:
    found = call.store.all("file-")
    ends = {"first_id": found[0]["id"], "last_id": found[-1]["id"]} if found else {}
    return {"object": "list", "data": found, "has_more": False, **ends}


def file(call: Call) -> Record:
    return _found(call, call.words["id"])


def content(call: Call) -> Answer:
    _found(call, call.words["id"])
    return _raw("application/octet-stream", call.store.content(call.words["id"]) or b"")


def remove(call: Call) -> Record:
    identity = _found(call, call.words["id"])["id"]
    call.store.remove(identity)
    if call.family == "anthropic":
        return {"id": identity, "type": "file_deleted"}
    return {"id": identity, "object": "file", "deleted": True}


def _found(call: Call, identity: str) -> Record:
    found = call.store.get(identity)
    if found is None:
        raise Refused(404, f"No such object: {identity}")
    return found


def _raw(kind: str, body: bytes) -> Answer:
    return Answer(status=200, headers=(("content-type", kind),), pieces=[body])


# --- OpenAI's batches ---------------------------------------------------------------------


def start_batch(call: Call) -> Record:
    """Validated at once, done by the time anybody looks."""
    asked = call.decoded(dict[str, Any])
    lines = _lines(call, asked.get("input_file_id", ""))
    identity = f"batch_sim{call.entry.serial}"
    record = {
        "id": identity,
        "object": "batch",
        "endpoint": asked.get("endpoint"),
        "errors": None,
        "input_file_id": asked.get("input_file_id"),
        "completion_window": asked.get("completion_window"),
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": call.now,
        "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
        "metadata": None,
    }
    return call.store.put(identity, record)


def batch(call: Call) -> Record:
    record = _found(call, call.words["id"])
    if record["status"] == "validating":
        lines = _lines(call, record["input_file_id"])
        output = b"".join(_encode(_line(call, line)) + b"\n" for line in lines)
        identity = f"file-{record['id']}"
        _keep(call, identity, "output.jsonl", output, "batch_output")
        counts = {"total": len(lines), "completed": len(lines), "failed": 0}
        record |= {"status": "completed", "output_file_id": identity, "request_counts": counts}
    return record


def batches(call: Call) -> Record:
    return {"object": "list", "data": call.store.all("batch_"), "has_more": False}


def cancel_batch(call: Call) -> Record:
    record = _found(call, call.words["id"])
    if record["status"] == "validating":
        record |= {"status": "cancelled"}
    return record


def _lines(call: Call, file_id: str) -> list[dict[str, Any]]:
    _found(call, file_id)
    written = call.store.content(file_id) or b""
    try:
        return [msgspec.json.decode(line) for line in written.splitlines() if line.strip()]
    except msgspec.MsgspecError as broken:
        raise Refused(400, f"The batch file is not JSON lines: {broken}") from broken


def _line(call: Call, line: dict[str, Any]) -> Record:
    answer = _again(call, str(line.get("url")), line.get("body"))
    body = msgspec.json.decode(answer.pieces[0])
    response = {"status_code": answer.status, "request_id": "req_sim", "body": body}
    custom = {"id": "batch_req_sim", "custom_id": line.get("custom_id")}
    return {**custom, "response": response, "error": None}


def _again(call: Call, path: str, body: object) -> Answer:
    """What one request of a batch would have been answered."""
    request = replace(call.request, method="POST", path=path, body=_encode(body))
    return call.again(replace(call, request=request))


# --- Anthropic's batches ------------------------------------------------------------------


def start_messages_batch(call: Call) -> Record:
    asked = call.decoded(dict[str, list[dict[str, Any]]]).get("requests", [])
    identity = f"msgbatch_sim{call.entry.serial}"
    results = b"".join(_encode(_result(call, request)) + b"\n" for request in asked)
    counts = {"processing": len(asked), "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    record = {
        "id": identity,
        "type": "message_batch",
        "processing_status": "in_progress",
        "request_counts": counts,
        "created_at": _TIME,
        "expires_at": _TIME,
        "ended_at": None,
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": None,
    }
    return call.store.put(identity, record, results)


def messages_batch(call: Call) -> Record:
    record = _found(call, call.words["id"])
    if record["processing_status"] == "in_progress":
        counts = record["request_counts"]
        counts |= {"processing": 0, "succeeded": counts["processing"]}
        host = call.request.headers.get("host", "127.0.0.1")
        results = f"http://{host}{call.request.path}/results"
        record |= {
            "processing_status": "ended",
            "ended_at": _TIME,
            "results_url": results,
        }
    return record


def messages_batches(call: Call) -> Record:
    return {"data": call.store.all("msgbatch_"), "has_more": False}


def messages_results(call: Call) -> Answer:
    _found(call, call.words["id"])
    return _raw("application/x-jsonl", call.store.content(call.words["id"]) or b"")


def cancel_messages_batch(call: Call) -> Record:
    record = _found(call, call.words["id"])
    if record["processing_status"] == "in_progress":
        record |= {"processing_status": "canceling", "cancel_initiated_at": _TIME}
    return record


def _result(call: Call, request: dict[str, Any]) -> Record:
    answer = _again(call, "/v1/messages", request.get("params"))
    message = msgspec.json.decode(answer.pieces[0])
    kind = "succeeded" if answer.status == 200 else "errored"  # noqa: PLR2004 (HTTP)
    told = {"type": kind, "message" if kind == "succeeded" else "error": message}
    return {"custom_id": request.get("custom_id"), "result": told}


# --- conversations ------------------------------------------------------------------------


def start_conversation(call: Call) -> Record:
    identity = f"conv_sim{call.entry.serial}"
    made = {"id": identity, "object": "conversation", "created_at": call.now, "metadata": {}}
    return call.store.put(identity, made)


def nothing(call: Call) -> Record:
    """An empty list of what belongs to a record."""
    _found(call, call.words["id"])
    return {"object": "list", "data": [], "has_more": False}


# --- OpenRouter's generations ---------------------------------------------------------------


def generation(call: Call) -> Record:
    """What a request cost, also one whose caller left; its output is what was written of it."""
    identity = call.request.parameter("id")
    known = _found(call, identity)
    entry = known["entry"]
    output = known["output_tokens"]
    if entry.outcome == "disconnected":
        output = min(output, max(entry.sent_pieces - 2, 0))
    cost = chat.stated_cost_usd(known["input_tokens"], output)
    told = {
        "id": identity,
        "model": entry.model,
        "streamed": entry.stream,
        "cancelled": entry.outcome == "disconnected",
        "total_cost": cost,
        "usage": cost,
        "is_byok": False,
        "tokens_prompt": known["input_tokens"],
        "tokens_completion": output,
        "native_tokens_prompt": known["input_tokens"],
        "native_tokens_completion": output,
        "native_tokens_reasoning": 0,
        "native_tokens_cached": 0,
    }
    return {"data": told}


def credit(call: Call) -> Record:  # noqa: ARG001 (the same for everybody)
    return {"data": {"total_credits": 10, "total_usage": 1, "limit_remaining": 9}}
