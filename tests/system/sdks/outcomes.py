"""What the matrix showed, and the page that says so."""

import importlib.metadata
import json
from pathlib import Path

from tests.system.sdks.driver import Sdk
from tests.system.sdks.typescript_node import DIRECTORY

PAGE = Path(__file__).parents[3] / "docs" / "compatibility.md"
COLUMNS = {
    "plain": "plain",
    "stream": "streaming",
    "tool": "tools",
    "embed": "embeddings",
    "file": "files",
    "402": "402",
    "403": "403",
    "429": "429",
    "hang_up": "caller leaves",
    "cut": "provider breaks off",
}
"""What is asked of each SDK, and the heading of its column."""
_HEAD = """\
# Which SDKs work

Written by `tests/system/sdks`, which drives each SDK through a running sidecar and fails where
this page says something else. Only the base URL and the key are changed.

**yes**: the SDK's own objects come back, and the request is settled once, at the true cost. Of a
stream that a caller leaves, what was delivered is charged. A column of refusals, or of streams that
the provider breaks off, names the exception that the SDK raises; a refused request reaches no
provider. An empty cell: the SDK, or this part of it, has no such call.
"""
_NOTES = """
A stream that the provider breaks off ends with the protocol's own error. Cohere's SDK raises
nothing for it: the last event says `finish_reason: ERROR`.

With each SDK's own number of retries, a request that is refused with 402 or 403 is sent once.
Cohere's SDK repeats every 429.
"""

Outcomes = dict[tuple[str, str], str]


def page(sdks: tuple[Sdk, ...], outcomes: Outcomes) -> str:
    """The page that the outcomes make."""
    head = ["SDK", "version", "protocol", "base URL", *COLUMNS.values()]
    rows = [_row(sdk, outcomes) for sdk in sdks]
    lines = [head, ["---"] * len(head), *rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{_HEAD}\n{table}\n{_NOTES}"


def _row(sdk: Sdk, outcomes: Outcomes) -> list[str]:
    cells = [outcomes.get((sdk.name, call), "") for call in COLUMNS]
    base = f"`http://localhost:4141{sdk.path}`"
    return [sdk.name, _version(sdk), sdk.protocol, base, *cells]


def _version(sdk: Sdk) -> str:
    npm = json.loads((DIRECTORY / "package.json").read_text())["dependencies"]
    name = sdk.package.removesuffix(" (npm)")
    return str(npm[name] if name != sdk.package else importlib.metadata.version(name))
