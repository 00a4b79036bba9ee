"""The columns of the provider table."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Treatment: TypeAlias = Literal["metered", "free", "later", "batch"]
"""What is done with an operation:

- `metered`: reserved before it leaves, settled by the usage in its answer.
- `free`: the provider bills nothing for it; it needs a key and no budget.
- `later`: free itself; its answer may show the usage of a request that was answered without.
- `batch`: reserved by the file it names, settled when a `later` answer says that it has ended.
"""

Auth: TypeAlias = Literal["bearer", "x-api-key", "api-key", "x-goog-api-key"]
"""The header that a provider's credential goes into."""

Protocol: TypeAlias = Literal["openai", "anthropic", "google", "cohere", "mistral"]
"""Whose SDK reads the answer: the shape of refusals and of the events that end a stream."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation:
    """One thing that can be asked of a provider. Operations of one name take the same body."""

    name: str
    method: str
    path: str
    """The provider's own; `{name}` stands for one segment, or for a part of one."""
    treatment: Treatment = "metered"
    body: str = ""
    """How the request is read (`spendra._hot.inspect`); empty where it is not looked at."""
    form: bool = False
    """The body is a multipart form, whose file is streamed."""
    stream: bool = False
    """The path itself asks for a stream (Google)."""
    protocol: Protocol | None = None
    """Where it is not the provider's."""
    auth: Auth | None = None
    """Where it is not the provider's."""
    model: str = ""
    """What is asked where the request may leave its model out."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Provider:
    """One row: where a provider is, how it is asked, and what it can be asked."""

    name: str
    origin: str
    """Scheme and host; empty where every customer has an address of its own."""
    auth: Auth
    protocol: Protocol
    meter: str
    """How answers are metered (`spendra._hot.Meter`)."""
    operations: tuple[Operation, ...]
    bases: tuple[str, ...] = ("/v1",)
    """What SDKs may leave out at the start of a path."""
    credentials: tuple[str, ...] = ()
    """The environment variables that usually hold the credential, first match first."""
    model_prefixes: tuple[str, ...] = ()
    """What callers write before a model's name that the price catalog does not."""
    retry_statuses: frozenset[int] = frozenset((408, 409, 429, 500, 502, 503, 504, 529))
    """Answers after which a fallback is tried: the provider bills nothing for them."""
    aliases: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    """Its own models, by pattern: of the routes that serve everything it comes first for these."""


def header_of(auth: str, credential: str) -> tuple[str, str]:
    """Name and value of the header in which a provider looks for a credential; empty without."""
    if not credential:
        return "", ""
    if auth == "bearer":
        return "authorization", f"Bearer {credential}"
    return auth, credential
