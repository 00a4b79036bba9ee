"""`spendra simulate-provider`: every provider, each in its own shape, costs nothing and fails on
request. True token counts; every shape and failure is an option or an `x-simulate` word.
"""

import argparse
from pathlib import Path

import uvloop

from spendra.arguments import EX_USAGE, CommandError, Parser, count, port_number
from spendra.command.simulator.provider import Provider
from spendra.command.simulator.replay import Corpus, CorpusError
from spendra.command.simulator.server import Simulator, serve
from spendra.command.simulator.shape import Shape

_HOST = "127.0.0.1"
_EPILOG = """\
Any request may ask for its own answer: x-simulate: status=429,delay-ms=50,chunk-ms=10,tokens=200,
cut-after=3,error-after=3,cached=5,reasoning=5,model=NAME,no-usage,usage-twice,drop,replay=ID.
GET /simulator/requests tells what arrived and how it ended; DELETE starts that count again."""


def main(argv: list[str]) -> int:
    """Serve until told to stop. 64: a bad option. 69: the port is in use."""
    options = _parser().parse_args(argv)
    simulator = Simulator(Provider(_corpus(options.replay)), _defaults(options))
    uvloop.run(serve(simulator, _HOST, options.port))
    return 0


def _parser() -> Parser:
    parser = Parser(prog="spendra simulate-provider", description=__doc__, epilog=_EPILOG)
    parser.add_argument("--port", type=port_number, default=9100, help="default 9100")
    parser.add_argument("--status", type=count, default=200, metavar="CODE", help="answer this")
    parser.add_argument("--delay-ms", type=count, default=0, help="before the first byte")
    parser.add_argument("--chunk-ms", type=count, default=0, help="before each further event")
    parser.add_argument(
        "--tokens", "--chunks", type=count, default=24, help="length of an answer (default 24)"
    )
    parser.add_argument(
        "--cut-after", type=count, metavar="N", help="cut after N events, or bytes of a plain body"
    )
    usage = parser.add_mutually_exclusive_group()
    usage.add_argument("--no-usage", dest="usage", action="store_const", const="none")
    usage.add_argument("--usage-twice", dest="usage", action="store_const", const="twice")
    parser.add_argument("--replay", type=Path, metavar="DIR", help="recorded answers to serve")
    return parser


def _defaults(options: argparse.Namespace) -> Shape:
    return Shape(
        status=options.status,
        delay_ms=options.delay_ms,
        chunk_ms=options.chunk_ms,
        tokens=options.tokens,
        cut_after=options.cut_after,
        usage=options.usage or "once",
    )


def _corpus(directory: Path | None) -> Corpus | None:
    try:
        return Corpus(directory) if directory else None
    except CorpusError as error:
        raise CommandError(EX_USAGE, f"--replay: {error}.") from error
