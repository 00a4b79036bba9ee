"""How near the estimate of input tokens is to what providers reported, on recorded traffic.

python -m benches.estimation WIRE

Per provider, over the recorded requests that are text and were recorded whole: the ratio of the
estimate to the truth, how often it is below the truth, and whether the truth ever passed the bound
that is held.
"""

import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from spendra._hot import HotError, count_tokens, estimate_tokens, inspect

_DIALECTS = {
    "chat": "openai_chat",
    "responses": "openai_responses",
    "completions": "openai_completions",
    "embeddings": "openai_embeddings",
    "messages": "anthropic",
    "anthropic_messages": "anthropic",
    "generate_content": "google",
    "cohere_v2_chat": "cohere",
    "cohere_v1_chat": "cohere",
}
_TOOLS_BOUND, _FRAMING_BOUND = 1024, 32
"""Of `crates/spendra_hot/src/tokens`."""


class Seen(NamedTuple):
    """One recorded request: what it was estimated and bounded at, and what it was."""

    provider: str
    has_tools: bool
    reported: int
    estimate: int
    bytes_bound: int
    counted_bound: int


def seen(wire: Path) -> Iterator[Seen]:
    for line in (wire / "corpus/index.jsonl").read_text().splitlines():
        case = json.loads(line)
        path = wire / "corpus" / f"{case['id']}.request.json"
        reported = (case["usage"] or {}).get("input_tokens")
        if reported and case["api"] in _DIALECTS and path.exists():
            body = path.read_bytes()
            if b"<elided" not in body and b"context_management" not in body:
                yield from _seen(case, body, reported)


def _seen(case: dict[str, Any], body: bytes, reported: int) -> Iterator[Seen]:
    provider = case["provider"]
    dialect = "mistral" if provider == "mistral" else _DIALECTS[case["api"]]
    try:
        found = inspect(body, dialect)
    except HotError:
        return
    if found.bounded_by_bytes:
        tools = _TOOLS_BOUND if found.tools else 0
        counted = count_tokens(body.decode(), case["model_requested"] or "")
        yield Seen(
            provider=provider,
            has_tools=bool(found.tools),
            reported=reported,
            estimate=estimate_tokens(found.text_bytes, provider, has_tools=bool(found.tools)),
            bytes_bound=found.body_bytes + tools,
            counted_bound=min(found.body_bytes, counted + _FRAMING_BOUND) + tools,
        )


def main() -> None:
    wire = Path(sys.argv[1])
    groups = defaultdict(list)
    for each in seen(wire):
        groups[each.provider, each.has_tools].append(each)
    sys.stdout.write(
        "| provider | tools | requests | estimate / reported: least, median, most | "
        "estimate below | above the bytes' bound | above the count's bound |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    for (provider, has_tools), rows in sorted(groups.items()):
        sys.stdout.write(_line(provider, rows, has_tools=has_tools))


def _line(provider: str, rows: list[Seen], *, has_tools: bool) -> str:
    ratios = [row.estimate / row.reported for row in rows]
    spread = f"{min(ratios):.2f}, {statistics.median(ratios):.2f}, {max(ratios):.2f}"
    below = sum(row.estimate < row.reported for row in rows)
    over = sum(row.reported > row.bytes_bound for row in rows)
    passed = sum(row.reported > row.counted_bound for row in rows)
    tools = "yes" if has_tools else "no"
    return f"| {provider} | {tools} | {len(rows)} | {spread} | {below} | {over} | {passed} |\n"


if __name__ == "__main__":
    main()
