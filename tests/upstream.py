"""A provider that takes one credential and remembers with which it was asked."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHAT = {
    "id": "c", "object": "chat.completion", "model": "gpt-4o-mini",
    "choices": [{"index": 0, "finish_reason": "stop",
                 "message": {"role": "assistant", "content": "Hello."}}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}  # fmt: skip


class Upstream:
    """`taken` is the value of the header that it takes; `asked` those that came, by path."""

    def __init__(self, header: str, taken: str) -> None:
        self.header, self.taken = header, taken
        self.asked: list[tuple[str, str]] = []
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({"object": "list", "data": []})

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self._answer(CHAT)

            def _answer(self, body: object) -> None:
                came = self.headers.get(upstream.header, "")
                upstream.asked.append((self.path, came))
                sent = json.dumps(body if came == upstream.taken else {"error": {}}).encode()
                self.send_response(200 if came == upstream.taken else 401)
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

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
