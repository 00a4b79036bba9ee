"""The compiled snapshot: what a control plane says and a sidecar obeys, byte for byte.

A snapshot is a signed manifest that names its segments by SHA-256, so that only changed
segments travel. Segments are JSON; `keys/..`, `policy` and `prices` are read by Rust
(`spendra._hot`); `secrets` never travels or rests unsealed. Keys are spread over up to 256
segments, `keys/00` to `keys/ff`, by `_hot.shard_of_key`; one without keys is left out.
"""

import base64
import hashlib
import re
from typing import Literal, TypeAlias, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SCHEMA_VERSION = 1
SEGMENTS = ("policy", "prices", "secrets")
"""Those that each snapshot has, besides its keys."""
KEYS = re.compile("keys/[0-9a-f]{2}").fullmatch
"""Whether a segment holds keys."""
SECRETS_CONTEXT = b"spendra snapshot secrets v1"
"""Purpose and context under which the `secrets` segment is sealed with the sidecar's token."""

Selector: TypeAlias = dict[str, list[str]]
"""Dimension to accepted values. Every dimension must match, by any one of its values.

Values match exactly, except in `model`, where `*` and `?` are wildcards. An empty selector
matches every request of the organization. Dimensions: see `spendra.scopes`.
"""

T = TypeVar("T")


class SnapshotError(ValueError):
    """A snapshot that must not be used: bad signature, schema, hash or shape."""


class _Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Manifest(_Wire, frozen=True):
    """What is signed. `segments` maps each name to the SHA-256 (hex) of its bytes."""

    schema_version: int
    org_id: str
    version: int
    compiled_at_ms: int
    segments: dict[str, str]


class KeyHash(_Wire, frozen=True):
    """HMAC-SHA256 (hex) of the whole key text; `expires_at_ms` bounds a rotated-out secret."""

    hash: str
    expires_at_ms: int | None = None


class KeyRecord(_Wire, frozen=True):
    """`scope` holds every dimension the key is bound to, ancestors included.

    `projects`: of a key for several, its whole scope in each; a request names which it is in.
    `delegated_from`: the keys above it, whose budgets and policies are its own too.
    """

    id: str
    name: str
    environment: str
    state: Literal["active", "paused", "revoked"]
    hashes: list[KeyHash]
    scope: Selector
    projects: dict[str, Selector] = {}
    models: list[str] | None = None
    providers: list[str] | None = None
    tools: list[str] | None = None
    delegated_from: list[str] = []
    max_request_nanousd: int | None = None
    expires_at_ms: int | None = None


class KeysSegment(_Wire, frozen=True):
    """The keys of one shard."""

    keys: list[KeyRecord]


Period: TypeAlias = Literal["hour", "day", "week", "month", "quarter", "year", "fixed", "none"]


class BudgetRecord(_Wire, frozen=True):
    """`version` grows with every edit of the limit; the newer limit wins everywhere.

    `starts_at_ms`/`ends_at_ms` bound a `fixed` budget; `none` never resets (prepaid).
    `open_up_to_nanousd`: what each sidecar sets aside of a hard budget, to let requests through
    while a store is away; 0: none go.
    """

    id: str
    name: str
    selector: Selector
    period: Period
    timezone: str
    limit_nanousd: int
    kind: Literal["hard", "soft"]
    version: int
    starts_at_ms: int | None = None
    ends_at_ms: int | None = None
    open_up_to_nanousd: int = 0


Day: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class OpenHours(_Wire, frozen=True):
    """From `opens` until `closes` on these days: local time as `HH:MM`, `24:00` the day's end."""

    days: list[Day]
    opens: str
    closes: str


class Hours(_Wire, frozen=True):
    """When requests are let through, by the clocks of a time zone."""

    timezone: str
    open: list[OpenHours]


Mode: TypeAlias = Literal["observe", "prefer_cheap", "enforce"]


class Instead(_Wire, frozen=True):
    """Models, by globs, and those that may serve in their place."""

    models: list[str]
    instead: list[str]


class Routing(_Wire, frozen=True):
    """`observe` only tells; `prefer_cheap` goes back to what was asked for where the cheaper one
    fails, and callers may decline; `enforce` does neither."""

    mode: Mode
    routes: list[Instead]


class Rules(_Wire, frozen=True):
    """What a policy says. None: this policy says nothing about it. Lists are globs (`*`, `?`);
    `labels_allow` has one for each label, by its name.
    """

    models_allow: list[str] | None = None
    models_deny: list[str] | None = None
    providers_allow: list[str] | None = None
    providers_deny: list[str] | None = None
    vendors_allow: list[str] | None = None
    vendors_deny: list[str] | None = None
    tools_allow: list[str] | None = None
    tools_deny: list[str] | None = None
    required_labels: list[str] | None = None
    labels_allow: dict[str, list[str]] | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    max_request_nanousd: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_concurrency: int | None = None
    default_output_tokens: int | None = None
    fit_output_to_budget: int | None = None
    unlimited_output: Literal["cap", "watch", "model"] | None = None
    environments_allow: list[str] | None = None
    hours: Hours | None = None
    routing: Routing | None = None
    review_above_nanousd: int | None = None
    review: Literal["block", "flag"] | None = None


class PolicyRecord(_Wire, frozen=True):
    id: str
    name: str
    selector: Selector
    rules: Rules


class PolicySegment(_Wire, frozen=True):
    """`default_output_tokens` caps a request whose caller sets no output limit."""

    budgets: list[BudgetRecord]
    policies: list[PolicyRecord]
    default_output_tokens: int


class FallbackRecord(_Wire, frozen=True):
    """A route to try next, by its name; `model` in place of the one asked for."""

    route: str
    model: str | None = None


class RouteRecord(_Wire, frozen=True):
    """Where a provider is reached. `kind` is its row in `spendra.providers`.

    `parameters` fill places of paths (`project`, `location`); `model_names` give the catalog's
    name of what is called otherwise there (Azure deployments); `ceilings_nanousd` let paths
    through that are not metered, by pattern, each request booked at its ceiling;
    `credential_file` names a file in the sidecar's own directory that holds the credential;
    `scope`: whose requests it is for, by what keys are bound to; empty: everybody's.
    """

    provider: str
    kind: str
    base_url: str
    credential: str
    models: list[str]
    credential_file: str = ""
    scope: Selector = {}
    fallbacks: list[FallbackRecord] = []
    parameters: dict[str, str] = {}
    model_names: dict[str, str] = {}
    ceilings_nanousd: dict[str, int] = {}


class IssuerRecord(_Wire, frozen=True):
    """Whose JSON Web Tokens stand for the key `key_id`, where they are for `audience`.

    `claims`: dimension to the claim that names its value. `above`: of each kind that claims name,
    what is above each scope of it.
    """

    name: str
    issuer: str
    audience: str
    jwks_url: str
    key_id: str
    claims: dict[str, str] = {}
    above: dict[str, dict[str, Selector]] = {}


class SecretsSegment(_Wire, frozen=True):
    """`key_pepper` (hex) keys the hashes of `KeyHash`. Routes are tried in order, by `models`."""

    key_pepper: str
    routes: list[RouteRecord]
    issuers: list[IssuerRecord] = []


class Envelope(_Wire, frozen=True):
    """One event of the snapshot stream. Bytes are base64; `secrets` is sealed before encoding.

    `segments` holds, by hash of the plaintext, only what this sidecar does not have yet.
    """

    manifest: str
    signature: str
    segments: dict[str, str]


class Snapshot(_Wire, frozen=True):
    """A whole, verified snapshot: the manifest and the plaintext bytes of each segment."""

    manifest: Manifest
    segments: dict[str, bytes]


def segment_hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sign(manifest: Manifest, key: Ed25519PrivateKey) -> tuple[bytes, bytes]:
    """The manifest's exact bytes and their Ed25519 signature."""
    raw = manifest_bytes(manifest)
    return raw, key.sign(raw)


def manifest_bytes(manifest: Manifest) -> bytes:
    """What is signed."""
    return msgspec.json.encode(manifest, order="sorted")


def keys_name(shard: int) -> str:
    """The name of the segment of a shard of keys."""
    return f"keys/{shard:02x}"


def have(manifest: Manifest) -> str:
    """How a sidecar says which snapshot it has: `<version>:<SHA-256 of its manifest>`."""
    return f"{manifest.version}:{segment_hash(manifest_bytes(manifest))}"


def open_manifest(raw: bytes, signature: bytes, key: Ed25519PublicKey) -> Manifest:
    """Raises SnapshotError unless signature, schema and segment names all fit."""
    try:
        key.verify(signature, raw)
    except InvalidSignature:
        msg = "the snapshot's signature does not fit its manifest"
        raise SnapshotError(msg) from None
    manifest = decode(raw, Manifest)
    if manifest.schema_version != SCHEMA_VERSION:
        msg = (
            f"snapshot schema {manifest.schema_version} is not {SCHEMA_VERSION}; upgrade both sides"
        )
        raise SnapshotError(msg)
    others = sorted(name for name in manifest.segments if not KEYS(name))
    if others != sorted(SEGMENTS):
        msg = f"the snapshot names segments {others} besides its keys, not {sorted(SEGMENTS)}"
        raise SnapshotError(msg)
    return manifest


def decode(raw: bytes, kind: type[T]) -> T:
    """Raises SnapshotError for bytes that are not exactly `kind`."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError as error:
        msg = f"not a {kind.__name__}: {error}"
        raise SnapshotError(msg) from None


def to_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def from_text(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        msg = "the snapshot envelope holds bytes that are not base64"
        raise SnapshotError(msg) from None
