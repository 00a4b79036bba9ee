"""A provider that takes one credential and remembers with which it was asked."""

from email.message import Message

from tests.json_server import JsonServer

CHAT = {
    "id": "c", "object": "chat.completion", "model": "gpt-4o-mini",
    "choices": [{"index": 0, "finish_reason": "stop",
                 "message": {"role": "assistant", "content": "Hello."}}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}  # fmt: skip


class Upstream(JsonServer):
    """`taken` is the value of the header that it takes; `asked` those that came, by path."""

    def __init__(self, header: str, taken: str) -> None:
        self.header, self.taken = header, taken
        self.asked: list[tuple[str, str]] = []
        super().__init__()

    def answer(self, method: str, path: str, headers: Message) -> tuple[int, object]:
        came = headers.get(self.header, "")
        self.asked.append((path, came))
        if came != self.taken:
            return 401, {"error": {}}
        return 200, CHAT if method == "POST" else {"object": "list", "data": []}
