"""What the worker's `/metrics` says, each metric named once."""

from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, make_wsgi_app

from spendra.bearers import bears

DRIFT_KINDS = (
    "redis_below_postgres",
    "redis_disagrees_with_itself",
    "settled_differs",
    "stray_hold",
)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """A scrape is no news."""


class Metrics:
    """The metrics of one worker."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.rounds = Counter(
            "spendra_worker_rounds",
            "Rounds over all organizations, by whether all of it was done.",
            ["result"],
            registry=self.registry,
        )
        self.drift = self._gauge(
            "spendra_drift_nanousd",
            "How far live balances are from Postgres, by kind of difference.",
            "kind",
        )
        self.findings = self._gauge(
            "spendra_audit_findings", "Violations that the last audit found.", "invariant"
        )
        self.exceptions = self._gauge(
            "spendra_audit_exceptions",
            "Accounts above their limit by an overrun, an adjustment or a lowered limit.",
        )
        self.lost = self._gauge("spendra_lost_nanousd", "Held by lost reservations.")
        self.unsealed = Gauge(
            "spendra_seal_lag_seconds",
            "Time since everything then booked was sealed.",
            registry=self.registry,
        )
        self.reconciliations = Counter(
            "spendra_reconciliations",
            "Times that wrong live balances were closed, to be rebuilt from Postgres.",
            ["org_id"],
            registry=self.registry,
        )

        self.deliveries = Counter(
            "spendra_deliveries",
            "Attempts to send a notice, by kind of channel and what became of each.",
            ["kind", "result"],
            registry=self.registry,
        )
        self.undelivered = Gauge(
            "spendra_undelivered",
            "Deliveries that wait, and that are dead.",
            ["state"],
            registry=self.registry,
        )

    def serve(self, host: str, port: int, token: str) -> None:
        """`/metrics` and `/healthz`, in a thread of its own. OSError if it cannot listen there."""
        server = make_server(host, port, self._application(token), _Server, _Silent)
        Thread(target=server.serve_forever, daemon=True).start()

    def _application(self, token: str) -> Any:
        render = make_wsgi_app(self.registry)

        def answer(environ: dict[str, Any], start: Any) -> Any:
            if environ["PATH_INFO"] == "/healthz":
                start("200 OK", [("content-type", "text/plain")])
                return [b"ok\n"]
            if bears(environ.get("HTTP_AUTHORIZATION"), token):
                return render(environ, start)
            start("401 Unauthorized", [("www-authenticate", "Bearer")])
            return [b"SPENDRA_METRICS_TOKEN is asked for.\n"]

        return answer

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(name, meaning, ["org_id", *labels], registry=self.registry)
