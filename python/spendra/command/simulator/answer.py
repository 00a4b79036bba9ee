"""What is asked and what is answered, apart from any socket."""

from dataclasses import dataclass
from urllib.parse import parse_qs

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Header names in lower case; `path` without the query."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    query: str = ""

    def parameter(self, name: str) -> str:
        """The first value of a parameter of the query, or nothing."""
        return parse_qs(self.query).get(name, [""])[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`pieces` are the body: one, sent with its length, or a stream's events, sent in chunks."""

    status: int
    headers: Headers
    pieces: list[bytes]
    streamed: bool = False
