"""A provider that answers what a test tells it to, byte for byte, and remembers what it was asked.

The first part of a path is the script's name, so that one server stands for many providers.
"""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE_S = 60
"""Of an answer that waits for its test: a test that forgets it must not hang for ever."""


@dataclass(frozen=True)
class Answer:
    """`pieces` are sent one by one, and `then` is awaited after the first of them."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: tuple[bytes, ...] = ()
    cut: bool = False
    """The connection is closed after the pieces, with no end marked."""
    first: threading.Event | None = None
    """Awaited before anything is answered."""
    then: threading.Event | None = None


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    """Without the script's name."""
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Upstream:
    """Scripts by name. The last answer of a script is given again and again."""

    def __init__(self) -> None:
        self._scripts: dict[str, list[Answer]] = {}
        self._asked: dict[str, list[Asked]] = {}
        self._lock = threading.Lock()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def script(self, name: str, *answers: Answer) -> None:
        with self._lock:
            self._scripts[name] = list(answers)

    def asked(self, name: str) -> list[Asked]:
        with self._lock:
            return list(self._asked.get(name, ()))

    def answer(self, name: str, asked: Asked) -> Answer:
        with self._lock:
            self._asked.setdefault(name, []).append(asked)
            script = self._scripts.get(name, [Answer(status=404)])
            return script.pop(0) if len(script) > 1 else script[0]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, upstream: Upstream) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _serve(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        _, name, path = [*self.path.split("/", 2), ""][:3]
        headers = {key.lower(): value for key, value in self.headers.items()}
        asked = Asked(self.command, f"/{path}", headers, self.rfile.read(length))
        answer = self.server.upstream.answer(name, asked)
        if answer.first is not None:
            answer.first.wait(PATIENCE_S)
        try:
            self._write(answer)
        except OSError:
            self.close_connection = True

    do_GET = do_POST = _serve  # noqa: N815 (the standard library's names)

    def _write(self, answer: Answer) -> None:
        self.send_response(answer.status)
        kind = "text/event-stream" if answer.pieces else "application/json"
        for name, value in ({"content-type": kind} | answer.headers).items():
            self.send_header(name, value)
        if answer.pieces:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self._write_pieces(answer) if answer.pieces else self.wfile.write(answer.body)

    def _write_pieces(self, answer: Answer) -> None:
        for number, piece in enumerate(answer.pieces):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
            if not number and answer.then is not None:
                answer.then.wait(PATIENCE_S)
        if answer.cut:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Nothing: what was asked is remembered."""


def said(body: object, status: int = 200, **headers: str) -> Answer:
    """A JSON document. Underscores in names of headers are hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(json.dumps(body).encode(), status, named)


def streamed(*events: object, end: bytes = b"", **more: Any) -> Answer:
    """Server-sent events, each a document, or bytes as they are."""
    pieces = [e if isinstance(e, bytes) else f"data: {json.dumps(e)}\n\n".encode() for e in events]
    return Answer(pieces=(*pieces, *([end] if end else [])), **more)
