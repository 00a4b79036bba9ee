"""The RSGI application: which path is served by what. Anything else is refused."""

from granian.rsgi import HTTPProtocol, Scope

from spendra.bearers import bears
from spendra.providers import Match, find, unmatched
from spendra_sidecar.metrics import Metrics
from spendra_sidecar.serving.call import begin, refuse
from spendra_sidecar.serving.gateway import Gateway
from spendra_sidecar.serving.refusals import Refusal
from spendra_sidecar.snapshots.receiver import Receiver

_JSON = [("content-type", "application/json")]
_ASKS = ("www-authenticate", "Bearer")
_TEXT = [("content-type", "text/plain; version=0.0.4; charset=utf-8")]


class App:
    """One sidecar's front door."""

    def __init__(
        self, gateway: Gateway, receiver: Receiver, metrics: Metrics, metrics_token: str
    ) -> None:
        self._gateway = gateway
        self._receiver = receiver
        self._metrics = metrics
        self._metrics_token = metrics_token

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        if scope.path.startswith("/v1/"):
            await self._gateway.serve(scope, protocol, self._match(scope))
        elif scope.path == "/healthz":
            protocol.response_str(200, _JSON, '{"status":"ok"}')
        elif scope.path == "/readyz":
            self._ready(protocol)
        elif scope.path == "/metrics":
            self._show_metrics(scope, protocol)
        else:
            self._unknown(scope, protocol)

    def _match(self, scope: Scope) -> Match:
        live = self._receiver.live
        kind_of = live.routes.kind_of if live is not None else str
        speaks_anthropic = scope.headers.get("anthropic-version") is not None
        found = find(scope.method, scope.path, speaks_anthropic=speaks_anthropic, kind_of=kind_of)
        return found or unmatched(scope.method, scope.path, kind_of)

    def _show_metrics(self, scope: Scope, protocol: HTTPProtocol) -> None:
        if bears(scope.headers.get("authorization"), self._metrics_token):
            protocol.response_str(200, _TEXT, self._metrics.render())
        else:
            protocol.response_str(401, [*_TEXT, _ASKS], "SPENDRA_METRICS_TOKEN is asked for.\n")

    def _ready(self, protocol: HTTPProtocol) -> None:
        ready = self._receiver.usable() is not None and not self._gateway.stopping
        version = self._receiver.live.version if self._receiver.live else 0
        state = "ready" if ready else "waiting for a policy snapshot"
        protocol.response_str(
            200 if ready else 503, _JSON, f'{{"status":"{state}","snapshot_version":{version}}}'
        )

    def _unknown(self, scope: Scope, protocol: HTTPProtocol) -> None:
        message = f"{scope.path} is not served; APIs are under /v1/, see docs/providers.md."
        refusal = Refusal("route_unknown", message)
        self._metrics.refused(refusal.kind.status, refusal.code)
        refuse(begin(scope, protocol, unmatched(scope.method, scope.path, str)), refusal)
