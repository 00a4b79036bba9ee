"""`python -m benches`: see benches/README.md."""

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from benches.gateway import UnavailableError
from benches.peers import PEERS
from benches.picture import picture
from benches.report import report, table
from benches.run import Plan, run

_HERE = Path(__file__).resolve().parent
_EX_UNAVAILABLE = 69


def main() -> int:
    """69 when Spendra or the load generator cannot be started."""
    plan = _plan()
    load_before = os.getloadavg()
    try:
        told = report(run(plan), load_before)
    except UnavailableError as error:
        sys.stderr.write(f"benches: {error}\n")
        return _EX_UNAVAILABLE
    out = _HERE / "out"
    out.mkdir(exist_ok=True)
    stem = datetime.now(UTC).strftime("%Y-%m-%d")
    (out / f"{stem}.json").write_text(json.dumps(told, indent=1) + "\n")
    (out / f"{stem}.svg").write_text(picture(told))
    sys.stdout.write(table(told) + f"\n\nbenches/out/{stem}.json, benches/out/{stem}.svg\n")
    return 0


def _plan() -> Plan:
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="Spendra only, about a minute")
    parser.add_argument(
        "--peers", default="all", help=f"all, none, or some of {','.join(PEERS)} (default: all)"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="per measurement")
    words = parser.parse_args()
    names = [] if words.quick else _names(words.peers, parser)
    return Plan(
        peers=[PEERS[name] for name in names],
        rounds=3 if words.quick else words.rounds,
        seconds=words.seconds,
        place=_place(),
    )


def _names(text: str, parser: argparse.ArgumentParser) -> list[str]:
    names = {"all": list(PEERS), "none": []}.get(text, text.split(","))
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        parser.error(f"unknown peer {unknown[0]!r}; there are {', '.join(PEERS)}")
    return names


def _place() -> Path:
    """Where peers and data go; git passes it by."""
    place = _HERE.parent / ".bench"
    place.mkdir(exist_ok=True)
    (place / ".gitignore").write_text("*\n")
    return place


if __name__ == "__main__":
    sys.exit(main())
