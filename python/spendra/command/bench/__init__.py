"""`spendra bench`: what a sidecar adds to a request on this machine, measured side by side.

It starts a product of its own in front of a simulated provider, like `spendra prove`, and asks both
in turn, over connections that stay open: nothing that anybody pays for is called.
"""

import asyncio
import random
import sys
from decimal import Decimal
from pathlib import Path
from typing import Final

from spendra.arguments import EX_USAGE, CommandError, Parser, count
from spendra.command.bench.figures import Figures, table
from spendra.command.bench.load import Target, ask_for
from spendra.command.prove.calls import Callers
from spendra.command.prove.plan import Plan
from spendra.command.prove.product import Product

_ROUNDS: Final = 3


def main(argv: list[str]) -> int:
    """Exit code 0; 64: a bad option; 69: it will not start."""
    words = _parser().parse_args(argv)
    if not words.callers or min(words.callers) < 1 or words.seconds < 1:
        raise CommandError(EX_USAGE, "--callers and --seconds are 1 or more.")
    plan = Plan(
        burst=1, room=1, sidecars=1, repeat=1, victims=(),
        up_file=None if words.own_stores else words.up_file,
        random=random.Random(),  # noqa: S311 - nothing is chosen
    )  # fmt: skip
    with Product(plan) as product:
        sys.stdout.write(asyncio.run(_measure(product, words.callers, words.seconds)))
    return 0


async def _measure(product: Product, callers: list[int], seconds: int) -> str:
    async with Callers(product) as asking:
        through = Target.at(product.running.sidecar_urls[0], asking.other_key)
        direct = Target.at(product.provider_url, "sk-direct")
        rows = [await _compare(number, through, direct, seconds) for number in callers]
    return table(rows)


async def _compare(callers: int, through: Target, direct: Target, seconds: int) -> Figures:
    """In turn, so that both meet the same moments of the machine; the first turn is not counted."""
    found = Figures(callers)
    turn_s = float(Decimal(seconds) / _ROUNDS)
    await ask_for(through, callers, min(turn_s, 1.0))
    for _ in range(_ROUNDS):
        found.direct.append(await ask_for(direct, callers, turn_s))
        found.through.append(await ask_for(through, callers, turn_s))
    return found


def _parser() -> Parser:
    parser = Parser("spendra bench", description=__doc__)
    parser.add_argument(
        "--callers", type=_numbers, default=[1, 16, 64], metavar="N,N", help="at once (1,16,64)"
    )
    parser.add_argument("--seconds", type=count, default=6, help="for each, and as long without")
    parser.add_argument(
        "--up-file", type=Path, default=Path(".spendra/up.json"), help="whose stores are used"
    )
    parser.add_argument("--own-stores", action="store_true", help="start Postgres and Valkey too")
    return parser


def _numbers(text: str) -> list[int]:
    return [count(part) for part in text.split(",")]
