"""The rooms and arrows: who may import whom, and where each outside package may be named."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {
    "spendra": ROOT / "python" / "spendra",
    "spendra_sidecar": ROOT / "sidecar" / "spendra_sidecar",
    "spendra_control_plane": ROOT / "control_plane" / "spendra_control_plane",
}
COMMAND = ROOMS["spendra"] / "command"

NAMED_IN = {
    "redis": {
        "python/spendra/command/prove/proof.py",
        "python/spendra/command/stores/valkey.py",
        "control_plane/spendra_control_plane/stores/redis.py",
        "control_plane/spendra_control_plane/worker/holds.py",
    },
    "hiredis": {"sidecar/spendra_sidecar/ledger/resp.py"},
    "asyncpg": {
        "python/spendra/command/prove/proof.py",
        "python/spendra/command/stores/external.py",
        "python/spendra/command/stores/postgres.py",
        "sidecar/spendra_sidecar/ledger/books.py",
        "control_plane/spendra_control_plane/stores/postgres.py",
    },
    "httpx": {
        "python/spendra/command/console/export.py",
        "python/spendra/command/console/run.py",
        "python/spendra/command/prove/calls.py",
        "python/spendra/command/prove/product.py",
        "python/spendra/command/prove/proof.py",
        "python/spendra/command/bootstrap.py",
        "python/spendra/command/up.py",
        "sidecar/spendra_sidecar/enrolment.py",
        "sidecar/spendra_sidecar/serving/credentials.py",
        "sidecar/spendra_sidecar/serving/google_tokens.py",
        "sidecar/spendra_sidecar/serving/jwts.py",
        "sidecar/spendra_sidecar/snapshots/receiver.py",
        "control_plane/spendra_control_plane/access/openid.py",
        "control_plane/spendra_control_plane/authoring/provider_tests.py",
        "control_plane/spendra_control_plane/notices/sending.py",
    },
    "authlib": {"control_plane/spendra_control_plane/access/openid.py"},
    "joserfc": {
        "control_plane/spendra_control_plane/access/openid.py",
        "sidecar/spendra_sidecar/serving/jwts.py",
    },
    "dns": {"control_plane/spendra_control_plane/access/domains.py"},
    "opentelemetry": {"sidecar/spendra_sidecar/tracing.py"},
    "aiosmtplib": {"control_plane/spendra_control_plane/notices/mail.py"},
    "pgqueuer": {"control_plane/spendra_control_plane/worker/jobs.py"},
    "google": {"sidecar/spendra_sidecar/serving/google_tokens.py"},
    "granian": {
        "sidecar/spendra_sidecar/main.py",
        "sidecar/spendra_sidecar/serving/app.py",
        "sidecar/spendra_sidecar/serving/call.py",
        "sidecar/spendra_sidecar/serving/forwarding.py",
        "sidecar/spendra_sidecar/serving/gateway.py",
        "sidecar/spendra_sidecar/serving/passing.py",
        "control_plane/spendra_control_plane/serving.py",
    },
    "pydantic": {
        "control_plane/spendra_control_plane/api/bodies/alerts.py",
        "control_plane/spendra_control_plane/api/bodies/budgets.py",
        "control_plane/spendra_control_plane/api/bodies/issuers.py",
        "control_plane/spendra_control_plane/api/bodies/keys.py",
        "control_plane/spendra_control_plane/api/bodies/members.py",
        "control_plane/spendra_control_plane/api/bodies/organizations.py",
        "control_plane/spendra_control_plane/api/bodies/policies.py",
        "control_plane/spendra_control_plane/api/bodies/prices.py",
        "control_plane/spendra_control_plane/api/bodies/providers.py",
        "control_plane/spendra_control_plane/api/bodies/record.py",
        "control_plane/spendra_control_plane/api/bodies/scopes.py",
        "control_plane/spendra_control_plane/api/bodies/sidecars.py",
        "control_plane/spendra_control_plane/api/bodies/sign_in.py",
        "control_plane/spendra_control_plane/api/bodies/words.py",
    },
}
NOT_IN_THE_TREATY = {"os.environ", "socket", "asyncio", "time", "random", "subprocess"}


def files(room: Path) -> Iterator[Path]:
    return (path for path in sorted(room.rglob("*.py")))


def imported(path: Path) -> set[str]:
    """Every module that a file imports, by full name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def top(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize(
    ("room", "stranger"),
    [
        ("spendra_sidecar", "spendra_control_plane"),
        ("spendra_control_plane", "spendra_sidecar"),
        ("spendra", "spendra_sidecar"),
        ("spendra", "spendra_control_plane"),
    ],
)
def test_rooms_meet_only_in_the_treaty(room: str, stranger: str) -> None:
    guests = {str(path) for path in files(ROOMS[room]) if stranger in map(top, imported(path))}
    assert not guests


def test_the_treaty_opens_no_socket_and_reads_no_clock() -> None:
    for path in files(ROOMS["spendra"]):
        if COMMAND not in path.parents:
            assert not {top(name) for name in imported(path)} & NOT_IN_THE_TREATY, path
            assert "os.environ" not in path.read_text("utf-8"), path


def test_nothing_but_the_command_itself_imports_the_command() -> None:
    for name in ("spendra_sidecar", "spendra_control_plane"):
        for path in files(ROOMS[name]):
            assert not [m for m in imported(path) if m.startswith("spendra.command")], path


@pytest.mark.parametrize("package", sorted(NAMED_IN))
def test_an_outside_package_is_named_only_where_it_belongs(package: str) -> None:
    naming = {
        str(path.relative_to(ROOT))
        for room in ROOMS.values()
        for path in files(room)
        if package in map(top, imported(path))
    }
    assert naming <= NAMED_IN[package]


def test_only_the_python_face_names_pyo3() -> None:
    crate = ROOT / "crates" / "spendra_hot" / "src"
    for path in sorted(crate.rglob("*.rs")):
        if crate / "py" not in path.parents:
            assert "pyo3" not in path.read_text("utf-8"), path
