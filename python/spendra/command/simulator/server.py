"""The simulated provider behind a port."""

import asyncio
import signal
import sys

from spendra.arguments import EX_UNAVAILABLE, CommandError
from spendra.command.simulator.answer import Answer, Request
from spendra.command.simulator.call import Refused
from spendra.command.simulator.connection import Connection, Play
from spendra.command.simulator.journal import Entry, Journal
from spendra.command.simulator.protocols import families
from spendra.command.simulator.provider import Provider
from spendra.command.simulator.shape import Shape, ShapeError, shaped

_JOURNAL_PATH = "/simulator/requests"


class Simulator:
    """Answers requests by the defaults and each request's own `x-simulate`; keeps the journal."""

    def __init__(self, provider: Provider, defaults: Shape) -> None:
        self._provider, self._defaults = provider, defaults
        self._journal = Journal()

    def connection(self) -> Connection:
        return Connection(self._play)

    def _play(self, request: Request, keep_alive: bool) -> Play:  # noqa: FBT001 (a callback)
        if request.path == _JOURNAL_PATH:
            entry = Entry(0, request.method, request.path)
            return Play(self._journaled(request.method), Shape(), entry, keep_alive=keep_alive)
        entry = self._journal.open(request.method, request.path)
        answer, shape = self._answer(request, entry)
        return Play(answer, shape, entry, keep_alive=keep_alive)

    def _answer(self, request: Request, entry: Entry) -> tuple[Answer, Shape]:
        try:
            shape = shaped(self._defaults, request.headers.get("x-simulate", ""))
        except ShapeError as unknown:
            entry.status = 400
            return families.error("openai", Refused(entry.status, str(unknown))), Shape()
        return self._provider.answer(request, shape, entry), shape

    def _journaled(self, method: str) -> Answer:
        if method == "DELETE":
            self._journal.clear()
        headers = (("content-type", "application/json"),)
        return Answer(status=200, headers=headers, pieces=[self._journal.report()])


async def serve(simulator: Simulator, host: str, port: int) -> None:
    """Until SIGTERM or SIGINT. CommandError when the port cannot be had."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        server = await loop.create_server(simulator.connection, host, port, backlog=1024)
    except OSError as taken:
        sentence = f"port {port} is in use; choose another with --port ({taken.strerror})."
        raise CommandError(EX_UNAVAILABLE, sentence) from taken
    sys.stdout.write(f"The simulated provider listens on http://{host}:{port}\n")
    sys.stdout.flush()
    await ended.wait()
    server.close()
