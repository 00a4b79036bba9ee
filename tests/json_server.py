"""A small HTTP server of a test's own, on loopback, in a thread."""

import json
import threading
from abc import ABC, abstractmethod
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class JsonServer(ABC):
    """`url` is where it listens, from the moment it is made."""

    def __init__(self) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self._answer()

            def _answer(self) -> None:
                status, body = server.answer(self.command, self.path, self.headers)
                sent = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @abstractmethod
    def answer(self, method: str, path: str, headers: Message) -> tuple[int, object]:
        """Status and JSON body."""

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
