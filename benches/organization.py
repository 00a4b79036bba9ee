"""A large organization: what one change of a key costs, and when 1,000 sidecars have it.

python -m benches.organization

A control plane as a process of its own on real stores; the sidecars are connections that read
the stream and do nothing with it, except one that verifies and loads what comes. Prints JSON.
"""

import asyncio
import json
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from spendra import sealing
from spendra import snapshot as wire
from spendra._hot import shard_of_key
from spendra_sidecar.snapshots import live
from tests.control_plane.running import (
    Organization,
    found_organization,
    migrate,
    settings,
    start_control_plane,
)
from tests.servers import start_postgres, start_valkey

KEYS = 100_000
BUDGETS = 10_000
POLICIES = 1_000
PROJECTS = 1_000
SIDECARS = 1_000
AT_ONCE = 20
"""Sidecars that connect together."""
ROUNDS = 5


class Connected(asyncio.Protocol):
    """One sidecar's stream: the moment at which an event had come whole, by its version."""

    def __init__(self, org: Organization, name: str, have: str) -> None:
        self._request = (
            f"GET /sidecar/v1/snapshots?sidecar_id={name}&have={have} HTTP/1.1\r\n"
            f"host: localhost\r\nauthorization: Bearer {org.sidecar_token}\r\n\r\n"
        )
        self._version = b""
        self.read_bytes = 0
        self.seen: dict[int, float] = {}
        self.first = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        transport.write(self._request.encode())

    def data_received(self, data: bytes) -> None:
        self.read_bytes += len(data)
        at = data.find(b"\nid: ")
        if at >= 0:
            self._version = data[at + 5 :].partition(b"\n")[0]
        if self._version and data.rfind(b"\n\n") >= 0 and b": keepalive" not in data[-20:]:
            self.seen[int(self._version)] = time.perf_counter()
            self._version = b""
            if not self.first.done():
                self.first.set_result(None)


class Loading:
    """A sidecar's reading of one event: verify, unseal, load, keeping what is the same."""

    def __init__(self, org: Organization) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(org.public_key)
        self._secrets = sealing.derive_key(org.sidecar_token.encode(), wire.SECRETS_CONTEXT)
        self._live: live.Live | None = None

    def load(self, data: bytes) -> None:
        envelope = wire.decode(data, wire.Envelope)
        raw, signature = wire.from_text(envelope.manifest), wire.from_text(envelope.signature)
        manifest = wire.open_manifest(raw, signature, self._key)
        known = {} if self._live is None else self._live.source.segments
        segments = {
            name: self._open(name, envelope.segments.get(digest)) or known[name]
            for name, digest in manifest.segments.items()
        }
        self._live = live.load(wire.Snapshot(manifest=manifest, segments=segments), self._live)

    def have(self) -> str:
        """What the sidecars that connect next have already."""
        assert self._live is not None
        return wire.have(self._live.source.manifest)

    def _open(self, name: str, text: str | None) -> bytes | None:
        if text is None:
            return None
        data = wire.from_text(text)
        if name == "secrets":
            data = sealing.unseal(self._secrets, data, wire.SECRETS_CONTEXT)
        return data


async def _fill(database_url: str, org_id: str) -> None:
    connection = await asyncpg.connect(database_url)
    ids = [secrets.token_hex(6) for _ in range(KEYS)]

    async def copy(table: str, columns: str, rows: Iterator[tuple[object, ...]]) -> None:
        await connection.copy_records_to_table(
            table, schema_name="spendra", columns=columns.split(), records=rows
        )

    scope = [json.dumps({"project": f"p{n}"}) for n in range(PROJECTS)]
    selector = [json.dumps({"project": [f"p{n}"]}) for n in range(PROJECTS)]
    rules = json.dumps({"max_output_tokens": 1000})
    await copy(
        "keys",
        "org_id id name environment scope shard",
        (
            (org_id, key, "k", "live", scope[n % PROJECTS], shard_of_key(key))
            for n, key in enumerate(ids)
        ),
    )
    await copy(
        "key_hashes",
        "org_id key_id hash",
        ((org_id, key, secrets.token_hex(32)) for key in ids),
    )
    await copy(
        "budgets",
        "org_id id name selector period limit_nanousd kind",
        (
            (org_id, f"bud_{n}", "b", selector[n % PROJECTS], "day", 10**9, "hard")
            for n in range(BUDGETS)
        ),
    )
    await copy(
        "policies",
        "org_id id name selector rules",
        ((org_id, f"pol_{n}", "p", selector[n % PROJECTS], rules) for n in range(POLICIES)),
    )
    await connection.close()


async def _measure(org: Organization, log: Callable[[str], None]) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {org.admin_token}"}
    async with httpx.AsyncClient(base_url=org.url, headers=headers, timeout=120) as api:
        begun = time.perf_counter()
        key = (await api.post("/v1/keys", json={"name": "k"})).json()["id"]
        whole_s = time.perf_counter() - begun
        log("the organization is compiled")
        loading = Loading(org)
        alone = await _alone(org, api, key, loading)
        log(f"connecting {SIDECARS} sidecars")
        many = await _many(org, api, key, loading.have())
    return {
        "keys": KEYS,
        "budgets": BUDGETS,
        "policies": POLICIES,
        "first_compile_of_everything_s": round(whole_s, 3),
        "one_sidecar": alone,
        f"{SIDECARS}_sidecars": many,
    }


async def _alone(
    org: Organization, api: httpx.AsyncClient, key: str, loading: Loading
) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {org.sidecar_token}"}
    answered, arrived, sizes, loads = [], [], [], []
    async with (
        httpx.AsyncClient(base_url=org.url, headers=headers, timeout=120) as client,
        client.stream("GET", "/sidecar/v1/snapshots", params={"sidecar_id": "reads"}) as answer,
    ):
        events = (
            line[5:].strip().encode() async for line in answer.aiter_lines() if line[:5] == "data:"
        )
        first = await anext(events)
        begun = time.perf_counter()
        loading.load(first)
        first_load_s = time.perf_counter() - begun
        for _ in range(ROUNDS):
            for action in ("pause", "resume"):
                begun = time.perf_counter()
                asked = asyncio.create_task(api.post(f"/v1/keys/{key}/{action}"))
                event = await anext(events)
                got = time.perf_counter()
                loading.load(event)
                loads.append(time.perf_counter() - got)
                arrived.append(time.perf_counter() - begun)
                await asked
                answered.append(asked.result().elapsed.total_seconds())
                sizes.append(len(event))
    return {
        "whole_snapshot_bytes": len(first),
        "first_load_s": round(first_load_s, 3),
        "change_bytes": max(sizes),
        "change_answered_s": _figures(answered),
        "change_in_force_s": _figures(arrived),
        "of_that_loading_s": _figures(loads),
    }


async def _many(org: Organization, api: httpx.AsyncClient, key: str, have: str) -> dict[str, Any]:
    loop, at = asyncio.get_running_loop(), urlsplit(org.url)
    sidecars: list[Connected] = []
    begun = time.perf_counter()
    for n in range(SIDECARS):
        _, sidecar = await loop.create_connection(
            lambda n=n: Connected(org, f"sidecar-{n}", have), at.hostname, at.port
        )
        sidecars.append(sidecar)
        if len(sidecars) % AT_ONCE == 0:
            await asyncio.gather(*(one.first for one in sidecars[-AT_ONCE:]))
    connect_s = time.perf_counter() - begun
    last, median, read = [], [], []
    for _ in range(ROUNDS):
        for action in ("pause", "resume"):
            before = sum(one.read_bytes for one in sidecars)
            begun = time.perf_counter()
            await api.post(f"/v1/keys/{key}/{action}")
            version = (await api.get("/v1/sidecars?limit=1")).json()["items"][0]["current_version"]
            while not all(version in one.seen for one in sidecars):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            took = sorted(one.seen[version] - begun for one in sidecars)
            last.append(took[-1])
            median.append(statistics.median(took))
            read.append((sum(one.read_bytes for one in sidecars) - before) // SIDECARS)
    return {
        "all_connected_s": round(connect_s, 1),
        "change_at_the_median_sidecar_s": _figures(median),
        "change_at_the_last_sidecar_s": _figures(last),
        "bytes_each": max(read),
    }


def _figures(times: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(times), 4), "most": round(max(times), 4)}


def main() -> None:
    """Prints JSON."""

    def log(text: str) -> None:
        sys.stderr.write(f"{time.strftime('%X')} {text}\n")

    postgres, valkey = start_postgres(), start_valkey()
    try:
        environ = settings(postgres.create_database("size"), valkey.url)
        migrate(environ)
        with tempfile.TemporaryDirectory() as place:
            plane = start_control_plane(environ, Path(place) / "log")
            try:
                org = found_organization(plane)
                log("filling")
                asyncio.run(_fill(environ["SPENDRA_DATABASE_URL"], org.id))
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    found: Awaitable[dict[str, Any]] = _measure(org, log)
                    sys.stdout.write(json.dumps(runner.run(found), indent=1) + "\n")
            finally:
                plane.stop()
    finally:
        valkey.stop()
        postgres.stop()


if __name__ == "__main__":
    main()
