"""What `/metrics` says, each metric named once."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.responses import Response

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The metrics of one control plane."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "spendra_control_plane_requests",
            "Requests answered, by route and status.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "spendra_control_plane_request_seconds",
            "Time to the head of the answer, by route.",
            ["method", "route"],
            registry=self._registry,
        )
        self.streams = Gauge(
            "spendra_control_plane_snapshot_streams",
            "Snapshot streams that are open.",
            registry=self._registry,
        )

    def render(self) -> Response:
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE)
