"""Serve an ASGI application in this very process, until SIGTERM or SIGINT."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from spendra import open_files

LOG = logging.getLogger(__name__)
GRACE_S = 5.0
_CONNECTIONS = 65_536
"""At once, at most: each sidecar holds one for ever, and operators must still get in."""


class AddressError(RuntimeError):
    """The address cannot be listened on; the message is one sentence."""


async def serve(app: Any, host: str, port: int, on_stop: Callable[[], None]) -> None:
    """Return once a signal came and what was under way has ended, or GRACE_S later."""
    _check_address(host, port)
    open_files.allow_most()
    stop = asyncio.Event()
    _on_signals(stop.set)
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.auto,
        websockets=False,
        backlog=4096,
        backpressure=_CONNECTIONS,
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve())
    LOG.info("listening at http://%s:%d", host, port)
    await _either(serving, stop)
    LOG.info("stopping")
    on_stop()
    server.stop()  # type: ignore[no-untyped-call]
    await _finish(serving)


def _on_signals(call: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, call)


async def _either(serving: asyncio.Task[Any], stop: asyncio.Event) -> None:
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def _finish(serving: asyncio.Task[Any]) -> None:
    try:
        await asyncio.wait_for(serving, GRACE_S)
    except TimeoutError:
        LOG.warning("some requests did not end within %.0f s; leaving them", GRACE_S)


def _check_address(host: str, port: int) -> None:
    """The server itself shares a port with whoever has it already, and would not complain."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            msg = f"Cannot listen on {host}:{port}: {error.strerror}."
            raise AddressError(msg) from None
