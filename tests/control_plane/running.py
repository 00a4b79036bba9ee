"""A control plane as a real process, and an organization on it."""

import base64
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from redis import Redis

from spendra import sealing
from spendra.balances import min_version_key
from spendra.snapshot import (
    KEYS,
    SECRETS_CONTEXT,
    Envelope,
    KeyRecord,
    KeysSegment,
    Manifest,
    PolicySegment,
    SecretsSegment,
    from_text,
    open_manifest,
    segment_hash,
)
from tests.answers import open_client
from tests.servers import Server, free_port, wait_for_port

BOOTSTRAP_TOKEN = "bootstrap-token-of-the-tests"
CATALOG = Path(__file__).with_name("catalog.json")
SERVE = """
import os, sys
from spendra_control_plane.main import start
sys.exit(start(os.environ))
"""
MIGRATE = """
import sys
from spendra_control_plane.migrate import main
sys.exit(main(sys.argv[1:]))
"""


class Received(NamedTuple):
    """One event of the snapshot stream, verified; `sent` names the segments that travelled."""

    manifest: Manifest
    segments: dict[str, bytes]
    sent: set[str]

    @property
    def keys(self) -> list[KeyRecord]:
        """Of all shards, by id."""
        shards = [data for name, data in self.segments.items() if KEYS(name)]
        decoded = [msgspec.json.decode(data, type=KeysSegment) for data in shards]
        return sorted((key for shard in decoded for key in shard.keys), key=lambda key: key.id)

    @property
    def policy(self) -> PolicySegment:
        return msgspec.json.decode(self.segments["policy"], type=PolicySegment)

    @property
    def secrets(self) -> SecretsSegment:
        return msgspec.json.decode(self.segments["secrets"], type=SecretsSegment)


@dataclass
class ControlPlane:
    """`environ` are its settings, `log` what it wrote."""

    url: str
    environ: dict[str, str]
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> int:
        """Its exit code after SIGTERM."""
        self.process.terminate()
        return self.process.wait(timeout=20)

    def with_bootstrap(self) -> httpx.Client:
        headers = {"authorization": f"Bearer {BOOTSTRAP_TOKEN}"}
        return open_client(self.url, headers)


@dataclass
class Organization:
    """A fresh organization and a client with its admin token."""

    id: str
    admin_token: str
    sidecar_token: str
    public_key: bytes
    api: httpx.Client
    url: str

    def ask(self, method: str, path: str, body: object = None, status: int = 200) -> dict[str, Any]:
        """The JSON answer, whose status must be this one."""
        answer = self.api.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def post(self, path: str, body: object = None, status: int = 201) -> dict[str, Any]:
        return self.ask("POST", path, body, status)

    def get(self, path: str, status: int = 200) -> dict[str, Any]:
        return self.ask("GET", path, None, status)

    def as_sidecar(self) -> httpx.Client:
        headers = {"authorization": f"Bearer {self.sidecar_token}"}
        return open_client(self.url, headers)

    def snapshot(self) -> Received:
        """The newest, over a stream of its own."""
        with self.as_sidecar() as client, follow(client) as stream:
            return self.open(next(stream_envelopes(stream)), {})

    def open(self, envelope: Envelope, known: dict[str, bytes]) -> Received:
        """Verify as a sidecar does; `known` are the segments it has, by hash."""
        raw, signature = from_text(envelope.manifest), from_text(envelope.signature)
        key = Ed25519PublicKey.from_public_bytes(self.public_key)
        manifest = open_manifest(raw, signature, key)
        segments = {}
        for name, digest in manifest.segments.items():
            segments[name] = self._segment(name, digest, envelope, known)
            assert segment_hash(segments[name]) == digest
        sent = {name for name, digest in manifest.segments.items() if digest in envelope.segments}
        return Received(manifest, segments, sent)

    def _segment(
        self, name: str, digest: str, envelope: Envelope, known: dict[str, bytes]
    ) -> bytes:
        if digest not in envelope.segments:
            return known[digest]
        data = from_text(envelope.segments[digest])
        if name != "secrets":
            return data
        key = sealing.derive_key(self.sidecar_token.encode(), SECRETS_CONTEXT)
        return sealing.unseal(key, data, SECRETS_CONTEXT)


def follow(client: httpx.Client, sidecar_id: str = "sidecar-1", have: str = "") -> Any:
    """The open event stream, as a context manager of an httpx response."""
    query = {"sidecar_id": sidecar_id, "have": have}
    return client.stream("GET", "/sidecar/v1/snapshots", params=query)


def stream_envelopes(stream: httpx.Response) -> Iterator[Envelope]:
    """Each snapshot event of an open stream."""
    assert stream.status_code == 200, stream.read()
    for line in stream.iter_lines():
        if line.startswith("data: "):
            yield msgspec.convert(json.loads(line[6:]), Envelope)


def floor(valkey: Server, org_id: str) -> int:
    """The oldest snapshot version that a reservation may name; 0 when none was raised."""
    with Redis.from_url(valkey.url) as client:
        return int(client.get(min_version_key(org_id)) or 0)


def settings(database_url: str, redis_url: str) -> dict[str, str]:
    return {
        **os.environ,
        "SPENDRA_DATABASE_URL": database_url,
        "SPENDRA_REDIS_URL": redis_url,
        "SPENDRA_ADMIN_TOKEN": BOOTSTRAP_TOKEN,
        "SPENDRA_MASTER_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "SPENDRA_CONTROL_PLANE_PORT": str(free_port()),
        "SPENDRA_CATALOG": str(CATALOG),
        "SPENDRA_API_REQUESTS_PER_MINUTE": "1000000",
        "SPENDRA_API_FAILURES_PER_MINUTE": "1000000",
    }


def migrate(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """`spendra migrate` in a process of its own."""
    command = [sys.executable, "-c", MIGRATE, *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def serve_once(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Start one that is expected to end by itself."""
    command = [sys.executable, "-c", SERVE]
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, check=False, timeout=60
    )


def start_control_plane(environ: dict[str, str], log: Path) -> ControlPlane:
    port = int(environ["SPENDRA_CONTROL_PLANE_PORT"])
    with log.open("ab") as sink:
        command = [sys.executable, "-c", SERVE]
        process = subprocess.Popen(command, env=environ, stderr=sink, stdout=sink)
    wait_for_port(port)
    return ControlPlane(f"http://127.0.0.1:{port}", environ, process, log)


def found_organization(plane: ControlPlane, name: str = "Acme") -> Organization:
    with plane.with_bootstrap() as client:
        answer = client.post("/v1/organizations", json={"name": name})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    headers = {"authorization": f"Bearer {made['admin_token']}"}
    return Organization(
        id=made["id"],
        admin_token=made["admin_token"],
        sidecar_token=made["sidecar_token"],
        public_key=base64.b64decode(made["snapshot_public_key"]),
        api=open_client(plane.url, headers),
        url=plane.url,
    )
