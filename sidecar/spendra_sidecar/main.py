"""The sidecar's one composition root, and its life from start to drained stop."""

import asyncio
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server

from spendra import open_files
from spendra._hot import Relay
from spendra.arguments import Parser
from spendra_sidecar import config as settings
from spendra_sidecar.config import Config, ConfigError
from spendra_sidecar.enrolment import EnrolmentError, enrolled
from spendra_sidecar.ledger.balances import Balances
from spendra_sidecar.ledger.books import Books, BooksUnavailableError
from spendra_sidecar.ledger.journal import Journal
from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.metrics import Metrics
from spendra_sidecar.serving.admission import Admissions
from spendra_sidecar.serving.app import App
from spendra_sidecar.serving.authentication import Authentication
from spendra_sidecar.serving.batches.batches import Batches
from spendra_sidecar.serving.batches.fetching import Fetching
from spendra_sidecar.serving.breakers import Breakers
from spendra_sidecar.serving.credentials import Credentials
from spendra_sidecar.serving.forwarding import Forwarding
from spendra_sidecar.serving.gateway import Gateway
from spendra_sidecar.serving.passing import Passing
from spendra_sidecar.serving.pending import Pending
from spendra_sidecar.snapshots.receiver import Receiver
from spendra_sidecar.snapshots.set_aside import set_aside

if TYPE_CHECKING:
    from spendra_sidecar.tracing import Tracing

_log = logging.getLogger(__name__)
_DESCRIPTION = (
    "Runs a sidecar until SIGTERM or SIGINT. Its settings are variables, SPENDRA_SIDECAR_TOKEN and"
    " others: docs/configuration.md."
)


def main(argv: list[str]) -> int:
    """Run a sidecar until SIGTERM or SIGINT. Settings: docs/configuration.md."""
    Parser("spendra sidecar", description=_DESCRIPTION).parse_args(argv)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        config = settings.load(enrolled(os.environ))
    except ConfigError as error:
        sys.stderr.write(f"spendra sidecar: {error}\n")
        return settings.EXIT_CONFIG
    except EnrolmentError as error:
        sys.stderr.write(f"spendra sidecar: {error}\n")
        return settings.EXIT_UNAVAILABLE
    return uvloop.run(_run(config))


async def _run(config: Config) -> int:
    open_files.allow_most()
    metrics = Metrics()
    balances = Balances(config.redis_url, config.org_id, config.store_timeout_s)
    books = Books(
        config.database_url, config.org_id, config.sidecar_id, config.store_timeout_s,
        is_pooled=config.is_pooled,
    )  # fmt: skip
    journal = Journal(config.state_dir / "journal.jsonl")
    ledger = Ledger(balances, books, journal, metrics)
    receiver = Receiver(config, metrics)
    receiver.start_from_disk()
    relay = Relay(
        first_byte_timeout_ms=config.first_byte_timeout_s * 1000,
        idle_timeout_ms=config.idle_timeout_s * 1000,
    )
    relay.attach(asyncio.get_running_loop())
    tracing = _tracing(config) if config.is_traced else None
    gateway = _gateway(config, receiver, ledger, relay, metrics, tracing)
    server = _server(config, App(gateway, receiver, metrics, config.metrics_token))
    await ledger.warm()
    background = [
        asyncio.create_task(receiver.run()),
        asyncio.create_task(ledger.replay(lambda: set_aside(receiver, ledger))),
        asyncio.create_task(_keep_lease(books, config.lease_s)),
    ]
    serving = asyncio.create_task(server.serve())
    _log.info("listening at http://%s:%d as %s", config.host, config.port, config.sidecar_id)
    await _signalled(serving)
    if serving.done() and serving.exception() is not None:
        sys.stderr.write(f"spendra sidecar: {serving.exception()}\n")
        return settings.EXIT_UNAVAILABLE
    await _drain(config, gateway)
    server.stop()  # type: ignore[no-untyped-call]
    await serving
    await gateway.close()
    await ledger.drain()
    for task in background:
        task.cancel()
    await asyncio.gather(*background, return_exceptions=True)
    await ledger.close()
    await _release(books, ledger)
    relay.close()
    if tracing is not None:
        await asyncio.to_thread(tracing.close)
    await asyncio.gather(balances.close(), books.close(), receiver.close())
    return 0


def _gateway(
    config: Config,
    receiver: Receiver,
    ledger: Ledger,
    relay: Relay,
    metrics: Metrics,
    tracing: "Tracing | None",
) -> Gateway:
    credentials, breakers = Credentials(config.secrets_dir), Breakers()
    batches = Batches(Fetching(relay, credentials, config.max_body_bytes))
    pending = Pending(ledger, batches)
    authentication = Authentication(config, receiver, ledger)
    return Gateway(
        config,
        Admissions(config, authentication, ledger, breakers, batches),
        Forwarding(config, relay, credentials, breakers, pending, ledger, metrics),
        Passing(config, authentication, relay, credentials, pending),
        ledger,
        metrics,
        tracing.record if tracing else None,
    )


def _tracing(config: Config) -> "Tracing":
    # OpenTelemetry and what it sends by are only for sidecars that trace.
    from spendra_sidecar.tracing import Tracing

    return Tracing(config)


def _server(config: Config, app: App) -> Server:
    return Server(
        app,
        address=config.host,
        port=config.port,
        interface=Interfaces.RSGI,
        websockets=False,
        backlog=4096,
        backpressure=65536,
        log_enabled=False,
        log_access=False,
    )


async def _signalled(serving: "asyncio.Task[None]") -> None:
    """Until a signal asks to stop, or serving ended by itself."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({waiting, serving}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def _drain(config: Config, gateway: Gateway) -> None:
    """Refuse what is new; let what is under way end within the grace, then cut it."""
    gateway.stopping = True
    try:
        async with asyncio.timeout(config.shutdown_grace_s):
            await gateway.idle()
    except TimeoutError:
        _log.warning("stopping: cut %d answers after the grace", gateway.cut())
        await gateway.idle()


async def _keep_lease(books: Books, lease_s: int) -> None:
    while True:
        try:
            await books.renew_lease(lease_s)
        except BooksUnavailableError as error:
            _log.warning("the lease was not renewed: %s", error)
        await asyncio.sleep(lease_s / 3)


async def _release(books: Books, ledger: Ledger) -> None:
    if ledger.journaled:
        _log.warning("%d settlements stay in the journal for the next start", ledger.journaled)
    try:
        await books.release_lease()
    except BooksUnavailableError as error:
        _log.warning("the lease was not released: %s", error)
