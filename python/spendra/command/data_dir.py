"""The data directory: one `spendra up` at a time, and what it must remember between starts."""

import base64
import fcntl
import os
import secrets
from pathlib import Path
from typing import IO, Self

import msgspec

from spendra.arguments import EX_UNAVAILABLE, CommandError


class Organization(msgspec.Struct):
    """The organization that the first start made; its first budget and key follow it."""

    org_id: str
    admin_token: str
    sidecar_token: str
    snapshot_public_key: str
    budget_id: str | None = None
    api_key: str | None = None
    providers: list[str] = msgspec.field(default_factory=list)
    """The routes that the last start made."""


def _token() -> str:
    return secrets.token_urlsafe(32)


def _master_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


class Secrets(msgspec.Struct):
    """`ports`: the ports chosen for embedded servers. `organizations`: by database."""

    bootstrap_token: str = msgspec.field(default_factory=_token)
    master_key: str = msgspec.field(default_factory=_master_key)
    postgres_password: str = msgspec.field(default_factory=_token)
    sidecar_password: str = msgspec.field(default_factory=_token)
    redis_password: str = msgspec.field(default_factory=_token)
    ports: dict[str, int] = msgspec.field(default_factory=dict)
    organizations: dict[str, Organization] = msgspec.field(default_factory=dict)


class DataDir:
    """Locked from opening to closing, or to the end of the process, however it ends."""

    def __init__(self, path: Path) -> None:
        """CommandError when another `spendra up` runs on it, or it cannot be used."""
        self.path = path.resolve()
        try:
            _make(self.path)
            self.logs.mkdir(exist_ok=True, mode=0o700)
            self._lock = _locked(self.path / "lock")
        except OSError as error:
            sentence = f"the data directory {path} cannot be used: {error.strerror}."
            raise CommandError(EX_UNAVAILABLE, sentence) from error
        try:
            self.secrets = _load(self._secrets_file)
        except CommandError:
            self._lock.close()
            raise
        self.save()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def _secrets_file(self) -> Path:
        return self.path / "secrets.json"

    def save(self) -> None:
        """Write what is remembered; call after each change of `secrets`."""
        text = msgspec.json.format(msgspec.json.encode(self.secrets))
        write_private(self._secrets_file, text)


def master_key_in(path: Path) -> str:
    """The master key of a data directory that another process uses. Raises CommandError."""
    return _load(path / "secrets.json").master_key


def _make(path: Path) -> None:
    """With a mode only where we make it: an existing directory is the person's own."""
    if not path.exists():
        path.mkdir(parents=True)
        # Root's Postgres runs as another user, who must be able to walk through.
        path.chmod(0o711 if os.geteuid() == 0 else 0o700)


def _locked(path: Path) -> IO[str]:
    lock = path.open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        sentence = f"`spendra up` (pid {path.read_text().strip()}) already runs on {path.parent}."
        raise CommandError(EX_UNAVAILABLE, sentence) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _load(path: Path) -> Secrets:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Secrets)
    except FileNotFoundError:
        return Secrets()
    except msgspec.MsgspecError as error:
        sentence = f"{path} cannot be read ({error}); restore it, or start on another --data-dir."
        raise CommandError(EX_UNAVAILABLE, sentence) from error


def write_private(path: Path, content: bytes) -> None:
    """Replace a file whole, readable by its owner only."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
