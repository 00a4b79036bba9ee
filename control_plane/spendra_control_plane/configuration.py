"""Settings: read once from the environment, typed and checked before any port opens."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

EXIT_BAD_CONFIGURATION = 64
EXIT_STORE_UNAVAILABLE = 69

_MASTER_KEY_BYTES = 32
_SHORTEST_ADMIN_TOKEN = 16
_LARGEST_PORT = 65535
_DATABASE_SCHEMES = ("postgres://", "postgresql://")
_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


class ConfigurationError(ValueError):
    """A setting that cannot be used; the message is one sentence that names it."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """`admin_token` is the bootstrap token; `master_key` is 32 bytes; `catalog` is a path.

    `public_url` is where browsers reach the control plane: scheme and host, no path.
    `dns_server` None is the machine's own.
    """

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    admin_token: str = field(repr=False)
    master_key: bytes = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 4142
    public_url: str = "http://127.0.0.1:4142"
    dns_server: tuple[str, int] | None = None
    requests_per_minute: int = 6000
    failures_per_minute: int = 60
    catalog: str = ""
    metrics_token: str = field(default="", repr=False)


def read_configuration(environ: Mapping[str, str]) -> Configuration:
    """Raises ConfigurationError for the first setting that is missing or wrong."""
    host = environ.get("SPENDRA_CONTROL_PLANE_HOST") or "127.0.0.1"
    port = _port(environ.get("SPENDRA_CONTROL_PLANE_PORT") or "4142")
    return Configuration(
        database_url=database_url(environ),
        redis_url=_url(environ, "SPENDRA_REDIS_URL", _REDIS_SCHEMES),
        admin_token=_admin_token(_required(environ, "SPENDRA_ADMIN_TOKEN")),
        master_key=required_master_key(environ),
        host=host,
        port=port,
        public_url=_public_url(environ.get("SPENDRA_PUBLIC_URL") or f"http://{host}:{port}"),
        dns_server=_dns_server(environ.get("SPENDRA_DNS_SERVER", "")),
        requests_per_minute=_pace(environ, "SPENDRA_API_REQUESTS_PER_MINUTE", "6000"),
        failures_per_minute=_pace(environ, "SPENDRA_API_FAILURES_PER_MINUTE", "60"),
        catalog=environ.get("SPENDRA_CATALOG", ""),
        metrics_token=environ.get("SPENDRA_METRICS_TOKEN", ""),
    )


def database_url(environ: Mapping[str, str]) -> str:
    """The one setting that `spendra migrate` needs."""
    return _url(environ, "SPENDRA_DATABASE_URL", _DATABASE_SCHEMES)


def _required(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        msg = f"{name} is not set."
        raise ConfigurationError(msg)
    return value


def _url(environ: Mapping[str, str], name: str, schemes: tuple[str, ...]) -> str:
    value = _required(environ, name)
    if not value.startswith(schemes):
        msg = f"{name} must start with {' or '.join(schemes)}."
        raise ConfigurationError(msg)
    return value


def _admin_token(text: str) -> str:
    if len(text) < _SHORTEST_ADMIN_TOKEN:
        msg = f"SPENDRA_ADMIN_TOKEN must have at least {_SHORTEST_ADMIN_TOKEN} characters."
        raise ConfigurationError(msg)
    return text


def required_master_key(environ: Mapping[str, str]) -> bytes:
    """Raises ConfigurationError when none is set, or it is no key."""
    key = read_master_key(environ)
    if key is None:
        msg = "SPENDRA_MASTER_KEY is not set, and SPENDRA_MASTER_KEY_FILE names no file."
        raise ConfigurationError(msg)
    return key


def read_master_key(environ: Mapping[str, str]) -> bytes | None:
    """From the setting or from the file that another names; None where neither is set."""
    text, path = (environ.get(f"SPENDRA_MASTER_KEY{end}", "").strip() for end in ("", "_FILE"))
    if path and not text:
        try:
            text = Path(path).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            msg = f"SPENDRA_MASTER_KEY_FILE {path!r} cannot be read: {error}."
            raise ConfigurationError(msg) from None
    return master_key(text) if text else None


def master_key(text: str) -> bytes:
    """Raises ConfigurationError when it is not the base64 of 32 bytes."""
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != _MASTER_KEY_BYTES:
        msg = (
            "SPENDRA_MASTER_KEY must be the base64 of 32 bytes, as `openssl rand -base64 32` makes."
        )
        raise ConfigurationError(msg)
    return key


def _public_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/"):
        msg = (
            "SPENDRA_PUBLIC_URL must be the address that browsers use, such as "
            f"https://spendra.example.com, not {text!r}."
        )
        raise ConfigurationError(msg)
    return f"{parts.scheme}://{parts.netloc}"


def _dns_server(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    host, _, port = text.rpartition(":")
    try:
        return str(ip_address(host.strip("[]"))), int(port)
    except ValueError:
        msg = f"SPENDRA_DNS_SERVER must be an IP address and a port, not {text!r}."
        raise ConfigurationError(msg) from None


def _pace(environ: Mapping[str, str], name: str, default: str) -> int:
    text = environ.get(name) or default
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        msg = f"{name} must be a whole number above 0, not {text!r}."
        raise ConfigurationError(msg)
    return int(text)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > _LARGEST_PORT:
        msg = f"SPENDRA_CONTROL_PLANE_PORT must be a port from 0 to {_LARGEST_PORT}, not {text!r}."
        raise ConfigurationError(msg)
    return int(text)
