"""What every SDK is asked to do, whatever its own words for it are."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

QUESTION = "What is wet?"
TOOL = "get_weather"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
MAX_OUTPUT_TOKENS = 100


class Said(NamedTuple):
    """An answer, and what it says it used."""

    text: str
    input_tokens: int
    output_tokens: int


class ToldError(Exception):
    """The SDK raises nothing for an error inside a stream; its last event told it."""


class Target(NamedTuple):
    """All that a client is made with. `retries`: None leaves the SDK's own number."""

    url: str
    key: str
    headers: dict[str, str]
    retries: int | None = None

    @property
    def limited(self) -> dict[str, int]:
        """The setting as most SDKs call it."""
        return {} if self.retries is None else {"max_retries": self.retries}


class Driver(Protocol):
    """One client of one SDK. An SDK's exceptions are let through."""

    def plain(self) -> Said: ...

    def stream(self) -> Generator[str]:
        """Texts as they come; closing it hangs up."""

    def tool(self) -> dict[str, Any]:
        """The arguments of the call that the request forced."""

    def embed(self) -> int:
        """How many vectors came back for two texts."""

    def file(self, content: bytes) -> bytes:
        """What is read back of an uploaded file."""

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Sdk:
    """A row of the matrix.

    `path` is appended to the sidecar's URL, `direct` to the simulated provider's; together with
    the key they are all that a user changes. `raises`: status to the SDK's own exception.
    """

    name: str
    package: str
    protocol: str
    make: Callable[[Target], Driver]
    path: str
    direct: str
    model: str
    raises: dict[int, type[Exception] | str]
    prices_nanousd: tuple[int, int]
    """Of one input and one output token, as the provider's price list has them."""
    embedding_model: str | None = None
    files: bool = False
    missing: Callable[[], str] = str
    """Says why it cannot be run here; nothing where it can."""
    cut: tuple[type[Exception] | str, ...] = field(default=(Exception,))
    """What a stream that the provider cut raises."""

    def __str__(self) -> str:
        return self.name.replace(" ", "-")
