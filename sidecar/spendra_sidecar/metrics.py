"""What an operator watches. Names and meanings are listed in docs/metrics.md."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from spendra_sidecar.ledger.words import Outcome, Settled

_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Metrics:
    """One registry per sidecar process."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.refusals = Counter(
            "spendra_refusals", "Requests answered by Spendra itself, by status and reason.",
            ["status", "reason"], registry=self.registry,
        )  # fmt: skip
        self.added_latency = Histogram(
            "spendra_added_latency_seconds", "Time Spendra added before the request left.",
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.in_flight = Gauge(
            "spendra_in_flight", "Requests under way here.", registry=self.registry
        )
        self.settlements = Counter(
            "spendra_settlements", "Reservations ended, by outcome and usage confidence.",
            ["outcome", "confidence"], registry=self.registry,
        )  # fmt: skip
        self.spend_nanousd = self._counter("spendra_spend_nanousd", "Cost booked, nano-USD.")
        self.overruns = self._counter(
            "spendra_overruns", "Requests billed above the worst case that was reserved."
        )
        self.given_up = self._counter(
            "spendra_reservations_given_up",
            "Reservations released because no store confirmed them.",
        )
        self.journaled = self._counter(
            "spendra_settlements_journaled", "Settlements that had to wait in the local journal."
        )
        self.refused_settlements = self._counter(
            "spendra_settlements_refused",
            "Settlements that Postgres refuses for their content, set aside in a file.",
        )
        self.failed_open = self._counter(
            "spendra_requests_let_through", "Requests let through while a store was away."
        )
        self.open_allowance = Gauge(
            "spendra_open_allowance_nanousd",
            "What is set aside here, and not drawn, for when a store is away.",
            registry=self.registry,
        )
        self.open_unlanded = Gauge(
            "spendra_open_unlanded",
            "Requests that were let through and are not in the ledger yet.",
            registry=self.registry,
        )
        self.moves_left = self._counter(
            "spendra_moves_left", "Settlements whose live balance the worker has to correct."
        )
        self.rebuilds = self._counter(
            "spendra_balance_rebuilds", "Times this sidecar rebuilt the live balances."
        )
        self.snapshots = Counter(
            "spendra_snapshots", "Snapshots received, by what became of them.",
            ["result"], registry=self.registry,
        )  # fmt: skip
        self.snapshot_version = Gauge(
            "spendra_snapshot_version", "Version of the snapshot in force.", registry=self.registry
        )

    def refused(self, status: int, reason: str) -> None:
        self.refusals.labels(str(status), reason).inc()

    def settled(self, end: Outcome, settled: Settled) -> None:
        self.settlements.labels(settled.outcome, end.confidence).inc()
        self.spend_nanousd.inc(settled.cost_nanousd)

    def render(self) -> str:
        return generate_latest(self.registry).decode()

    def _counter(self, name: str, meaning: str) -> Counter:
        return Counter(name, meaning, registry=self.registry)
