"""One run: everything started once, then rounds in which each gateway has its turn."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benches import load, spendra
from benches.figures import CALLERS, Gathered
from benches.gateway import Ports, Running, UnavailableError, free_port
from benches.load import Tools, Upstream
from benches.peers import Peer


@dataclass(frozen=True)
class Plan:
    """`seconds` measured per number of callers, round and gateway."""

    peers: Sequence[Peer]
    rounds: int
    seconds: float
    place: Path


@dataclass
class Ran:
    """`gathered`: direct first, Spendra last. `absent`: peers that could not take part, and why."""

    gathered: list[Gathered] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)


def run(plan: Plan) -> Ran:
    """Raises UnavailableError when Spendra or the load generator cannot be had."""
    tools = load.build(plan.place / "load")
    upstream, ran, running = Upstream(tools, free_port()), Ran(), []
    try:
        upstream.start()
        for gateway in _started(plan, ran, upstream.port):
            running.append(gateway)  # noqa: PERF402 - those before a failure are stopped below
        ran.gathered = [Gathered(each.name, each.switched_on) for each in running]
        _measure(plan, tools, upstream, list(zip(running, ran.gathered, strict=True)))
    finally:
        for gateway in running:
            gateway.stop()
        upstream.stop()
    return ran


def _started(plan: Plan, ran: Ran, upstream_port: int) -> Iterator[Running]:
    yield Running("direct", upstream_port, "no gateway")
    for peer in plan.peers:
        say(f"{peer.name} {peer.version}: installing and starting")
        try:
            yield _start(plan.place / peer.name, peer, Ports(upstream_port, free_port()))
        except UnavailableError as error:
            ran.absent[peer.name] = str(error)
            say(f"{peer.name} cannot take part: {error}")
    say("spendra: starting")
    yield spendra.start(plan.place / "spendra", Ports(upstream_port, free_port()))


def _start(place: Path, peer: Peer, ports: Ports) -> Running:
    peer.install(place)
    return peer.start(place, ports)


Pairs = list[tuple[Running, Gathered]]


def _measure(plan: Plan, tools: Tools, upstream: Upstream, pairs: Pairs) -> None:
    for gateway, gathered in pairs:
        load.whole(tools, gateway, callers=4, seconds=1)
        gathered.rss_at_rest_kib = gateway.rss_kib()
    for number in range(plan.rounds):
        for gateway, gathered in pairs:
            say(f"round {number + 1} of {plan.rounds}: {gateway.name}")
            for callers in CALLERS:
                seen = load.whole(tools, gateway, callers=callers, seconds=plan.seconds)
                gathered.whole.setdefault(callers, []).append(seen)
        with _made_room(upstream):
            _stream(plan, tools, upstream, pairs)
    for gateway, gathered in pairs:
        gathered.rss_after_kib = gateway.rss_kib()


def _stream(plan: Plan, tools: Tools, upstream: Upstream, pairs: Pairs) -> None:
    for gateway, gathered in pairs:
        seen = load.stream(tools, gateway, upstream.port, seconds=plan.seconds)
        gathered.streams.append(seen)


@contextmanager
def _made_room(upstream: Upstream) -> Iterator[None]:
    upstream.stop()
    yield
    upstream.start()


def _to_stderr(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()


say: Callable[[str], None] = _to_stderr
