"""Receivers of notices, as people run them: a web server and a mail server on loopback."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from tests.servers import free_port


class Received(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Answers each POST with what `answer` says: a status, asked with the number of the request."""

    def __init__(self, answer: Callable[[int], int] = lambda _number: 204) -> None:
        self.received: list[Received] = []
        self.answer = answer
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                with lock:
                    receiver.received.append(Received(self.path, headers, body))
                    number = len(receiver.received)
                self.send_response(receiver.answer(number))
                self.send_header("location", f"{receiver.url}/redirected")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class MailServer:
    """Takes every letter; `letters` are their texts, `recipients` whom each was for."""

    def __init__(self) -> None:
        self.letters: list[str] = []
        self.recipients: list[str] = []
        server = self

        class Handler(Message):
            def handle_message(self, message: object) -> None:
                server.recipients.append(str(message["X-RcptTo"]))  # type: ignore[index]
                server.letters.append(str(message))

        self._controller = Controller(Handler(), hostname="127.0.0.1", port=free_port())
        self._controller.start()

    @property
    def url(self) -> str:
        return f"smtp+plain://127.0.0.1:{self._controller.port}"

    def stop(self) -> None:
        self._controller.stop()
