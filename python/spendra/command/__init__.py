"""The `spendra` command. Each subcommand is an entry point of the group `spendra.commands`:

a function `main(argv: list[str]) -> int` that takes the words after its name and returns the
exit code. A distribution that is not installed simply brings no subcommands.
"""

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from spendra import __version__
from spendra.command.arguments import EX_USAGE, CommandError

Main = Callable[[list[str]], int]


def main() -> int:
    """Run the subcommand that the command line names. 64 when it names none that is known."""
    words = sys.argv[1:]
    if words[:1] == ["--version"]:
        sys.stdout.write(f"spendra {__version__}\n")
        return 0
    commands = {entry.name: entry for entry in entry_points(group="spendra.commands")}
    chosen = commands.get(words[0]) if words else None
    return _run(chosen, words[1:]) if chosen else _list(words, sorted(commands))


def _run(chosen: EntryPoint, words: list[str]) -> int:
    try:
        return cast("Main", chosen.load())(words)
    except CommandError as error:
        sys.stderr.write(f"spendra {chosen.name}: {error}\n")
        return error.code
    except BrokenPipeError:
        return 1


def _list(words: list[str], names: list[str]) -> int:
    asked = words[:1] in (["--help"], ["-h"], ["help"])
    to = sys.stdout if asked else sys.stderr
    if words and not asked:
        to.write(f"spendra: there is no command {words[0]!r}.\n")
    to.write("usage: spendra COMMAND [OPTIONS]\n\ncommands:\n")
    to.writelines(f"  {name}\n" for name in names)
    return 0 if asked else EX_USAGE
