"""Hours of steady load: whether memory stays flat and nothing is left behind.

python -m benches.soak --minutes 60 --rate 40

Half of the requests are streams, and a tenth of the streams are left in the middle by their
callers. Prints a line a minute, and writes everything to benches/out/soak-<date>.json.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from benches import load, machine, spendra
from benches.gateway import Ports, Running, free_port, spawn, stop, wait_for_port

_OUT = Path(__file__).parent / "out"
_STREAMS, _ABORTED = 0.5, 0.1
_SETTLED_WITHIN_S = 60
_SAMPLE_S = 10.0


@dataclass
class Sample:
    """The sidecar at one moment."""

    at_s: float
    rss_kib: int
    descriptors: int
    reservations: int


@dataclass
class Soak:
    """What was done, what was seen, and what was left at the end."""

    started: str
    minutes: float
    rate: float
    outcomes: dict[str, int] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)

    def growth_kib_per_hour(self) -> float:
        """Slope of resident memory over the second half, when caches are full."""
        half = self.samples[len(self.samples) // 2 :]
        times, sizes = [s.at_s for s in half], [float(s.rss_kib) for s in half]
        return statistics.linear_regression(times, sizes).slope * 3600


class Caller:
    """Requests at a fixed rate, whatever the answers take."""

    def __init__(self, gateway: Running, bodies: Path, soak: Soak) -> None:
        self._url = f"http://127.0.0.1:{gateway.port}/v1/chat/completions"
        self._headers = {**gateway.headers, "content-type": "application/json"}
        self._whole = (bodies / "whole.json").read_bytes()
        self._stream = (bodies / "stream.json").read_bytes()
        self._soak = soak
        self._random = random.Random(7)  # noqa: S311 - which request is which kind

    async def run(self) -> None:
        limits = httpx.Limits(max_keepalive_connections=32)
        async with (
            httpx.AsyncClient(limits=limits, timeout=30, headers=self._headers) as client,
            asyncio.TaskGroup() as calls,
        ):
            begun = time.monotonic()
            for number in range(int(self._soak.minutes * 60 * self._soak.rate)):
                await asyncio.sleep(begun + number / self._soak.rate - time.monotonic())
                calls.create_task(self._call(client))

    async def _call(self, client: httpx.AsyncClient) -> None:
        try:
            kind = await self._ask(client)
        except httpx.HTTPError as error:
            kind = type(error).__name__
        self._soak.outcomes[kind] = self._soak.outcomes.get(kind, 0) + 1

    async def _ask(self, client: httpx.AsyncClient) -> str:
        if self._random.random() >= _STREAMS:
            answer = await client.post(self._url, content=self._whole)
            return f"whole {answer.status_code}"
        leaves_after = 5 if self._random.random() < _ABORTED else None
        async with client.stream("POST", self._url, content=self._stream) as answer:
            seen = 0
            async for line in answer.aiter_lines():
                seen += line.startswith("data:")
                if seen == leaves_after:
                    return f"aborted {answer.status_code}"
        return f"stream {answer.status_code}"


async def _watch(gateway: Running, up: dict[str, Any], soak: Soak) -> None:
    begun = time.monotonic()
    while True:
        sample = await asyncio.to_thread(_sample, gateway, up, time.monotonic() - begun)
        soak.samples.append(sample)
        if len(soak.samples) % 6 == 0:
            _say(f"{sample} {soak.outcomes}")
        await asyncio.sleep(_SAMPLE_S)


def _sample(gateway: Running, up: dict[str, Any], at_s: float) -> Sample:
    pid = gateway.watched["sidecar"]
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Sample(round(at_s, 1), machine.rss_kib(pid), descriptors, _open_reservations(up))


def _open_reservations(up: dict[str, Any]) -> int:
    return len(_ask(up, "/v1/reservations?limit=200")["items"])


def _ask(up: dict[str, Any], path: str) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {up['admin_token']}"}
    answer = httpx.get(up["control_plane_url"] + path, headers=headers, timeout=30)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def _left(gateway: Running, up: dict[str, Any]) -> dict[str, int]:
    """What is still there once everything had time to end."""
    until = time.monotonic() + _SETTLED_WITHIN_S
    while _open_reservations(up) and time.monotonic() < until:
        time.sleep(1)
    spend = _ask(up, f"/v1/budgets/{up['budget_id']}/spend")
    final = _sample(gateway, up, 0)
    return {
        "reservations": final.reservations,
        "held_nanousd": spend["held_nanousd"],
        "descriptors": final.descriptors,
    }


def _soak(words: argparse.Namespace, place: Path) -> Soak:
    tools = load.build(place / "load")
    port = free_port()
    argv = [str(tools.mock), "--port", str(port), "--chunks", "20", "--chunk-ms", "10"]
    upstream = spawn(argv, place / "mock.log", cpus=machine.cores().rest)
    wait_for_port(port, upstream, place / "mock.log", seconds=5)
    gateway = spendra.start(place / "spendra", Ports(port, free_port()))
    up = json.loads((place / "spendra/.spendra/up.json").read_text())
    soak = Soak(datetime.now(UTC).isoformat(timespec="seconds"), words.minutes, words.rate)
    try:
        asyncio.run(_drive(Caller(gateway, tools.place, soak), gateway, up, soak))
        soak.left = _left(gateway, up)
    finally:
        gateway.stop()
        stop(upstream)
    return soak


async def _drive(caller: Caller, gateway: Running, up: dict[str, Any], soak: Soak) -> None:
    watching = asyncio.create_task(_watch(gateway, up, soak))
    await caller.run()
    watching.cancel()


def main() -> None:
    parser = argparse.ArgumentParser("python -m benches.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=40, help="requests per second")
    words = parser.parse_args()
    place = Path(".bench/soak").resolve()
    place.mkdir(parents=True, exist_ok=True)
    soak = _soak(words, place)
    _OUT.mkdir(exist_ok=True)
    path = _OUT / f"soak-{soak.started[:10]}.json"
    path.write_text(json.dumps(asdict(soak), indent=1))
    first, last = soak.samples[0], soak.samples[-1]
    _say(
        f"{soak.minutes:g} minutes at {soak.rate:g}/s: {soak.outcomes}\n"
        f"memory {first.rss_kib / 1024:.1f} MiB at first, {last.rss_kib / 1024:.1f} at the end; "
        f"second half {soak.growth_kib_per_hour():+.0f} KiB an hour\n"
        f"left: {soak.left}\n{path}"
    )


def _say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
