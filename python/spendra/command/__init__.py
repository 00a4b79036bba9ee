"""The `spendra` command. Each subcommand is an entry point of the group `spendra.commands`:

a function `main(argv: list[str]) -> int` that takes the words after its name and returns the
exit code. A distribution that is not installed simply brings no subcommands.
"""

import sys
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from spendra import __version__
from spendra.arguments import EX_USAGE, CommandError

Main = Callable[[list[str]], int]
SUMMARIES = {
    "up": "run everything on this machine",
    "sidecar": "run a sidecar: what a container beside a workload does",
    "control-plane": "run a control plane",
    "worker": "run a worker",
    "migrate": "bring the database to this version's schema",
    "doctor": "is everything well?",
    "keys": "make, rotate, pause and revoke keys",
    "budgets": "budgets and what is left of them",
    "policies": "policies, their versions, and trials of them",
    "prices": "prices of your own",
    "providers": "provider routes and credentials",
    "members": "who may do what",
    "sidecars": "which sidecars there are, and what they obey",
    "api": "any other call of the control plane's API",
    "export": "the ledger as CSV or Parquet, for finance or in FOCUS' columns",
    "ledger": "verify the record, or export it to be verified elsewhere",
    "reseal": "seal all secrets under another master key",
    "prove": "bursts, killed processes and an audit of a running system",
    "bench": "what a sidecar adds on this machine",
    "simulate-provider": "run providers that answer from scripts and cost nothing",
}
"""In the order in which they are listed; others come last."""


def main() -> int:
    """Run the subcommand that the command line names. 64 when it names none that is known."""
    words = sys.argv[1:]
    if words[:1] == ["--version"]:
        sys.stdout.write(f"spendra {__version__}\n")
        return 0
    commands = {entry.name: entry for entry in entry_points(group="spendra.commands")}
    chosen = commands.get(words[0]) if words else None
    return _run(chosen, words[1:]) if chosen else _list(words, commands)


def _run(chosen: EntryPoint, words: list[str]) -> int:
    try:
        return cast("Main", chosen.load())(words)
    except CommandError as error:
        sys.stderr.write(f"spendra {chosen.name}: {error}\n")
        return error.code
    except BrokenPipeError:
        return 1


def _list(words: list[str], commands: Iterable[str]) -> int:
    asked = words[:1] in (["--help"], ["-h"], ["help"])
    to = sys.stdout if asked else sys.stderr
    if words and not asked:
        to.write(f"spendra: there is no command {words[0]!r}.\n")
    to.write("usage: spendra COMMAND [OPTIONS]\n\ncommands:\n")
    others = sorted(set(commands) - SUMMARIES.keys())
    names = [name for name in (*SUMMARIES, *others) if name in commands]
    to.writelines(f"  {name:<19}{SUMMARIES.get(name, '')}".rstrip() + "\n" for name in names)
    to.write("\nEach says more: spendra COMMAND --help\n")
    return 0 if asked else EX_USAGE
