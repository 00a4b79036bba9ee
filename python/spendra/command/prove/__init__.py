"""`spendra prove`: bursts at the edge of a budget while processes are killed, then an audit.

It works in an organization of its own with a simulated provider of its own, and starts sidecars,
a control plane and a worker of its own: nothing that anybody pays for is called, and no budget of
yours is touched.
"""

import argparse
import asyncio
import random
import signal
import sys
from pathlib import Path
from typing import NoReturn

from spendra.arguments import EX_USAGE, CommandError, Parser, count
from spendra.command.prove.plan import VICTIMS, Plan
from spendra.command.prove.product import Product
from spendra.command.prove.proof import prove

_EX_VIOLATED = 1


def main(argv: list[str]) -> int:
    """0: every figure is as promised. 1: one is not. 64: a bad option. 69: it will not start."""
    plan = read(argv)
    signal.signal(signal.SIGTERM, _stop)
    with Product(plan) as product:
        return 0 if asyncio.run(prove(plan, product)) else _EX_VIOLATED


def _stop(number: int, _: object) -> NoReturn:
    """As Ctrl-C: what was started is stopped first."""
    sys.exit(128 + number)


def read(argv: list[str]) -> Plan:
    """CommandError (64) for what cannot be used."""
    words = _parser().parse_args(argv)
    victims = tuple(filter(None, words.kill.split(",")))
    victims = tuple(VICTIMS) if victims == ("any",) else victims
    if not set(victims) <= VICTIMS.keys():
        raise CommandError(EX_USAGE, f"--kill takes any, or some of {', '.join(VICTIMS)}.")
    if not words.sidecars or not words.repeat or not words.room or words.burst < words.room:
        sentence = "--sidecars, --repeat and --room are 1 or more, and --burst is not below --room."
        raise CommandError(EX_USAGE, sentence)
    return Plan(
        burst=words.burst,
        room=words.room,
        sidecars=words.sidecars,
        repeat=words.repeat,
        victims=victims,
        up_file=None if words.own_stores else words.up_file,
        random=random.Random(words.seed),  # noqa: S311 - it chooses a victim, not a secret
    )


def _parser() -> Parser:
    parser = Parser(
        prog="spendra prove",
        description="Show that budgets hold: more calls at once than fit, processes killed under "
        "them, and an audit of every account. Uses the stores of the running `spendra up`, if "
        "there is one; organization, sidecars and provider are its own.",
    )
    parser.add_argument("--burst", type=count, default=200, metavar="N", help="calls at once")
    parser.add_argument("--room", type=count, default=37, metavar="N", help="calls that fit")
    parser.add_argument("--sidecars", type=count, default=2, metavar="N")
    parser.add_argument("--repeat", type=count, default=1, metavar="N", help="how many bursts")
    parser.add_argument(
        "--kill",
        default="",
        metavar="WHAT",
        help="kill -9 one of these during each burst: any, or some of sidecar,redis,postgres,"
        "worker,control-plane (by comma)",
    )
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="of the choices")
    parser.add_argument("--up-file", type=Path, default=Path(".spendra/up.json"), metavar="FILE")
    parser.add_argument(
        "--own-stores",
        action="store_true",
        help="start Postgres and Valkey too, even if a `spendra up` is running",
    )
    parser.formatter_class = argparse.HelpFormatter
    return parser
