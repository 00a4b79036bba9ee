"""Write seeds for the fuzz targets: recorded traffic (`$SPENDRA_WIRE`) and the policy cases.

`python -m benches.fuzz_seeds WIRE FOLDER` makes `inspect/`, `usage/` and `policy/` in the folder.
Each seed begins with the bytes by which its target chooses a dialect.
"""

import json
import sys
from pathlib import Path

_MOST_BYTES = 32_768
_CASES = Path(__file__).parents[1] / "tests" / "policy_cases"


def _write(folder: Path, name: str, prefix: bytes, body: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if len(body) <= _MOST_BYTES:
        (folder / name).write_bytes(prefix + body)


def main(wire: Path, out: Path) -> None:
    for number, path in enumerate(sorted(wire.glob("corpus/*.request.json"))):
        _write(out / "inspect", path.name, bytes([number % 10]), path.read_bytes())
    for number, path in enumerate(sorted(wire.glob("corpus/*.body"))):
        _write(out / "usage", path.name, bytes([number % 24, 7]), path.read_bytes())
    for path in sorted(_CASES.glob("*.json")):
        segment = json.dumps(json.loads(path.read_text())["segment"]).encode()
        _write(out / "policy", path.stem, b"\x02", segment)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
