"""What `spendra up` is asked to do: its command line and the environment, read once."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from spendra.arguments import EX_USAGE, CommandError, Parser, count, port_number
from spendra.command.simulator.protocols.families import FAMILIES
from spendra.providers import PROVIDERS

CREDENTIALS: Final = {name: row.credentials for name, row in PROVIDERS.items() if row.credentials}
"""Provider to the variables that may hold its credential."""
_ADDRESSES: Final = {"azure": "AZURE_OPENAI_ENDPOINT"}
"""Where every customer has an address of its own."""
_PARAMETERS: Final = {"project": "GOOGLE_CLOUD_PROJECT", "location": "GOOGLE_CLOUD_LOCATION"}
_NO_CREDENTIAL: Final = "unset"


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """A provider's origin, and the credential that it is called with."""

    provider: str
    base_url: str
    credential: str
    parameters: dict[str, str] = field(default_factory=dict)


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
    """Those named, and every provider whose credential is in the environment."""
    for name in CREDENTIALS:
        row = PROVIDERS[name]
        address = environ.get(_ADDRESSES.get(name, ""), "").rstrip("/") or row.origin
        is_named = bool({name, *row.aliases} & origins.keys())
        if row.name == name and not is_named and _credential(name, environ) and address:
            origins[name] = address
    return tuple(
        Upstream(
            provider=name,
            base_url=url,
            credential=_credential(name, environ) or _NO_CREDENTIAL,
            parameters=_parameters(name, environ),
        )
        for name, url in origins.items()
    )


def _credential(name: str, environ: Mapping[str, str]) -> str:
    return next((environ[each] for each in CREDENTIALS[name] if environ.get(each)), "")


def _parameters(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    if PROVIDERS[name].name != "vertex":
        return {}
    return {place: environ[each] for place, each in _PARAMETERS.items() if environ.get(each)}


def simulated(base_url: str) -> tuple[Upstream, ...]:
    """Every provider of the table, answered by the simulated one."""
    return tuple(
        Upstream(
            provider=name,
            base_url=f"{base_url}/{name}" if name in FAMILIES else base_url,
            credential="simulated",
            parameters={"project": "simulated", "location": "simulated"}
            if name == "vertex"
            else {},
        )
        for name, row in PROVIDERS.items()
        if name == row.name and row.credentials
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
