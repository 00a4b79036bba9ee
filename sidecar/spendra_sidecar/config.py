"""Configuration, read once from the environment before any port opens."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from spendra.snapshot import SnapshotError, from_text

EXIT_CONFIG = 64
EXIT_UNAVAILABLE = 69


class ConfigError(ValueError):
    """A setting that cannot be used; the message is one sentence that says what to do."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one sidecar process. Documented in docs/configuration.md."""

    host: str
    port: int
    sidecar_id: str
    org_id: str
    state_dir: Path
    control_plane_url: str
    token: str
    snapshot_public_key: bytes
    database_url: str
    is_pooled: bool
    """Postgres is reached through a pooler in transaction mode."""
    redis_url: str
    max_body_bytes: int
    max_buffered_bytes: int
    max_staleness_s: int
    lease_s: int
    store_timeout_s: float
    first_byte_timeout_s: int
    idle_timeout_s: int
    shutdown_grace_s: int
    metrics_token: str = ""
    """What `/metrics` asks for; empty: nothing."""
    secrets_dir: Path | None = None
    """Where files with providers' credentials are; None: nowhere."""
    is_traced: bool = False
    """An OTLP collector is named in OpenTelemetry's own variables."""


def load(env: Mapping[str, str] = os.environ) -> Config:
    """Raises ConfigError for the first setting that is missing or wrong."""
    token = _required(env, "SPENDRA_SIDECAR_TOKEN")
    return Config(
        host=env.get("SPENDRA_SIDECAR_HOST", "127.0.0.1"),
        port=_number(env, "SPENDRA_SIDECAR_PORT", 4141, 1, 65535),
        sidecar_id=sidecar_id(env),
        org_id=_org_of(token),
        state_dir=state_dir(env),
        control_plane_url=control_plane_url(env),
        token=token,
        snapshot_public_key=_public_key(env),
        database_url=_url(env, "SPENDRA_DATABASE_URL", ("postgres", "postgresql")),
        is_pooled=_choice(env, "SPENDRA_DATABASE_POOLER", ("none", "transaction")) == "transaction",
        redis_url=_url(env, "SPENDRA_REDIS_URL", ("redis", "rediss", "unix")),
        max_body_bytes=_number(env, "SPENDRA_MAX_BODY_BYTES", 20 << 20, 1 << 10, 1 << 30),
        max_buffered_bytes=_number(env, "SPENDRA_MAX_BUFFERED_BYTES", 256 << 20, 1 << 20, 1 << 40),
        max_staleness_s=_number(env, "SPENDRA_MAX_STALENESS_S", 86_400, 1, 10**9),
        lease_s=_number(env, "SPENDRA_LEASE_S", 15, 3, 3600),
        store_timeout_s=_number(env, "SPENDRA_STORE_TIMEOUT_MS", 2000, 10, 60_000) / 1000,
        first_byte_timeout_s=_number(env, "SPENDRA_FIRST_BYTE_TIMEOUT_S", 600, 1, 86_400),
        idle_timeout_s=_number(env, "SPENDRA_IDLE_TIMEOUT_S", 300, 1, 86_400),
        shutdown_grace_s=_number(env, "SPENDRA_SHUTDOWN_GRACE_S", 20, 0, 3600),
        metrics_token=env.get("SPENDRA_METRICS_TOKEN", ""),
        secrets_dir=_directory(env, "SPENDRA_SECRETS_DIR"),
        is_traced=_is_traced(env),
    )


def sidecar_id(env: Mapping[str, str]) -> str:
    return env.get("SPENDRA_SIDECAR_ID") or socket.gethostname()


def state_dir(env: Mapping[str, str]) -> Path:
    return Path(env.get("SPENDRA_STATE_DIR", ".spendra/sidecar"))


def control_plane_url(env: Mapping[str, str]) -> str:
    """Raises ConfigError."""
    return _url(env, "SPENDRA_CONTROL_PLANE_URL", ("http", "https"))


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        msg = f"{name} is not set; `spendra up` sets it, or see docs/configuration.md"
        raise ConfigError(msg)
    return value


def _number(env: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = env.get(name)
    if text is None:
        return default
    if not text.isdecimal() or not least <= int(text) <= most:
        msg = f"{name} must be a whole number from {least} to {most}, not {text!r}"
        raise ConfigError(msg)
    return int(text)


def _choice(env: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    """The first of `known` unless set."""
    value = env.get(name, known[0])
    if value not in known:
        msg = f"{name} must be {' or '.join(known)}, not {value!r}"
        raise ConfigError(msg)
    return value


def _url(env: Mapping[str, str], name: str, schemes: tuple[str, ...]) -> str:
    value = _required(env, name)
    if urlsplit(value).scheme not in schemes:
        msg = f"{name} must be a URL that begins with {' or '.join(s + '://' for s in schemes)}"
        raise ConfigError(msg)
    return value


def _directory(env: Mapping[str, str], name: str) -> Path | None:
    text = env.get(name, "")
    if not text:
        return None
    path = Path(text)
    if not path.is_dir():
        msg = f"{name} must be a directory, and {text!r} is none"
        raise ConfigError(msg)
    return path


def _is_traced(env: Mapping[str, str]) -> bool:
    named = [env.get(f"OTEL_EXPORTER_OTLP_{kind}ENDPOINT", "") for kind in ("TRACES_", "")]
    if not any(named) or env.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    for kind in ("TRACES_", ""):
        name = f"OTEL_EXPORTER_OTLP_{kind}PROTOCOL"
        if env.get(name, "http/protobuf") != "http/protobuf":
            msg = f"{name} must be http/protobuf: spans are sent over HTTP, port 4318 as a rule"
            raise ConfigError(msg)
    return env.get("OTEL_TRACES_EXPORTER", "otlp") == "otlp"


def _org_of(token: str) -> str:
    """A sidecar token is `sps_<organization id>_<secret>`."""
    parts = token.split("_")
    if len(parts) < 4 or parts[0] != "sps" or not parts[-1]:  # noqa: PLR2004 - sps, org, id, secret
        msg = "SPENDRA_SIDECAR_TOKEN must look like sps_org_<id>_<secret>; ask the control plane"
        raise ConfigError(msg)
    return "_".join(parts[1:-1])


def _public_key(env: Mapping[str, str]) -> bytes:
    try:
        key = from_text(_required(env, "SPENDRA_SNAPSHOT_PUBLIC_KEY"))
    except SnapshotError:
        key = b""
    if len(key) != 32:  # noqa: PLR2004 - a raw Ed25519 public key
        msg = "SPENDRA_SNAPSHOT_PUBLIC_KEY must be the base64 of 32 bytes; ask the control plane"
        raise ConfigError(msg)
    return key
