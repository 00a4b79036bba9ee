"""What `spendra up` is asked to do: its command line and the environment, read once."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from spendra.command.arguments import EX_USAGE, CommandError, Parser, count, port_number

CREDENTIALS: Final = {
    "anthropic": "ANTHROPIC_API_KEY",
    "azure": "AZURE_OPENAI_API_KEY",
    "cohere": "CO_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "google": "GOOGLE_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "openai": "OPENAI_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "vertex": "VERTEX_ACCESS_TOKEN",
}
"""Provider to the variable that holds its credential."""
_OPENAI: Final = "https://api.openai.com"
_NO_CREDENTIAL: Final = "unset"


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """A provider's origin, and the credential that it is called with."""

    provider: str
    base_url: str
    credential: str


@dataclass(frozen=True, kw_only=True)
class ExternalStores:
    """`sidecar_database_url`: the same database as a role with fewer rights, where one is named."""

    database_url: str
    sidecar_database_url: str
    redis_url: str


@dataclass(frozen=True, kw_only=True)
class Options:
    """No upstream: the simulated provider answers. No external stores: embedded ones are run."""

    data_dir: Path
    sidecar_ports: tuple[int, ...]
    control_plane_port: int
    upstreams: tuple[Upstream, ...]
    external: ExternalStores | None


def read(argv: list[str], environ: Mapping[str, str]) -> Options:
    """CommandError (64) for what cannot be used."""
    words = _parser().parse_args(argv)
    return Options(
        data_dir=words.data_dir,
        sidecar_ports=_sidecar_ports(words),
        control_plane_port=words.control_plane_port,
        upstreams=_upstreams(dict(words.upstream), environ),
        external=_external(environ),
    )


def _parser() -> Parser:
    parser = Parser(
        prog="spendra up",
        description="Run all of Spendra on this machine: Postgres, Valkey, control plane, worker "
        "and sidecar. SPENDRA_DATABASE_URL and SPENDRA_REDIS_URL name servers to use instead.",
    )
    parser.add_argument(
        "--upstream",
        type=_upstream,
        action="append",
        default=[],
        metavar="NAME=URL",
        help="a provider's origin, such as openai=http://127.0.0.1:9100; may be repeated",
    )
    parser.add_argument("--data-dir", type=Path, default=Path(".spendra/data"), metavar="DIR")
    parser.add_argument("--sidecar-port", type=port_number, default=4141, metavar="PORT")
    parser.add_argument("--control-plane-port", type=port_number, default=4142, metavar="PORT")
    parser.add_argument(
        "--sidecars",
        type=count,
        default=1,
        metavar="N",
        help="how many; further ones listen on the sidecar port + 10, + 11, ...",
    )
    return parser


def _upstream(text: str) -> tuple[str, str]:
    name, separator, url = text.partition("=")
    parts = urlsplit(url)
    if not separator or parts.scheme not in ("http", "https") or not parts.hostname:
        msg = f"{text!r} is not NAME=URL with an http or https URL"
        raise argparse.ArgumentTypeError(msg)
    if name not in CREDENTIALS:
        msg = f"{name!r} is not a provider (there are {', '.join(CREDENTIALS)})"
        raise argparse.ArgumentTypeError(msg)
    return name, url.rstrip("/")


def _sidecar_ports(words: argparse.Namespace) -> tuple[int, ...]:
    first: int = words.sidecar_port
    ports = (first, *(first + 10 + further for further in range(words.sidecars - 1)))
    if not words.sidecars or ports[-1] > 65535 or words.control_plane_port in ports:  # noqa: PLR2004
        sentence = "--sidecars, --sidecar-port and --control-plane-port leave a port out of range, "
        raise CommandError(EX_USAGE, sentence + "used twice, or no sidecar at all.")
    return ports


def _upstreams(origins: dict[str, str], environ: Mapping[str, str]) -> tuple[Upstream, ...]:
    if environ.get("OPENAI_API_KEY"):
        origins.setdefault("openai", _OPENAI)
    return tuple(
        Upstream(
            provider=name,
            base_url=url,
            credential=environ.get(CREDENTIALS[name]) or _NO_CREDENTIAL,
        )
        for name, url in origins.items()
    )


def _external(environ: Mapping[str, str]) -> ExternalStores | None:
    database = environ.get("SPENDRA_DATABASE_URL")
    redis = environ.get("SPENDRA_REDIS_URL")
    if database and redis:
        sidecar = environ.get("SPENDRA_SIDECAR_DATABASE_URL") or database
        return ExternalStores(database_url=database, sidecar_database_url=sidecar, redis_url=redis)
    if database or redis:
        sentence = "set both SPENDRA_DATABASE_URL and SPENDRA_REDIS_URL, or neither."
        raise CommandError(EX_USAGE, sentence)
    return None
