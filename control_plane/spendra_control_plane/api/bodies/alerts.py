"""What a person may type about notices: where they go, and which."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator

from spendra_control_plane.api.bodies.words import Body, Edit, Name, Word

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
Address = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]+$", max_length=2000)]
Mail = Annotated[
    str, StringConstraints(pattern=r"^[^@\s,;<>\x00-\x20]+@[A-Za-z0-9.-]+$", max_length=320)
]
Events = Annotated[list[Word], Field(min_length=1, max_length=50)]


def check_url(written: str, field: str = "url") -> None:
    """Raises ValueError: what is sent is nobody else's business, so it travels under TLS."""
    parts = urlsplit(written)
    is_plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or not (parts.scheme == "https" or is_plain) or parts.fragment:
        msg = f"write an https:// address ({field!r}); http:// leads to this machine only"
        raise ValueError(msg)
    if parts.username or parts.password:
        msg = f"leave user and password out of {field!r}; nothing here needs them"
        raise ValueError(msg)


class NewChannel(Body):
    """`url` for a webhook or Slack, `email` for e-mail."""

    name: Name
    kind: Literal["webhook", "slack", "email"]
    url: Address | None = Field(default=None, repr=False)
    email: Mail | None = None

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        wanted, other = (self.email, self.url) if self.kind == "email" else (self.url, self.email)
        if wanted is None or other is not None:
            field = "email" if self.kind == "email" else "url"
            msg = f"a channel of kind {self.kind!r} needs {field!r} and no other address"
            raise ValueError(msg)
        if self.url is not None:
            check_url(self.url)
        return self

    @property
    def address(self) -> str:
        return self.email or self.url or ""


class EditChannel(Edit):
    """`url` and `email` replace an address of their kind."""

    name: Name | None = None
    state: Literal["active", "paused"] | None = None
    url: Address | None = Field(default=None, repr=False)
    email: Mail | None = None

    @model_validator(mode="after")
    def _url_fits(self) -> Self:
        if self.url is not None:
            check_url(self.url)
        if self.url is not None and self.email is not None:
            msg = "a channel has one address: give 'url' or 'email'"
            raise ValueError(msg)
        return self


class NewSubscription(Body):
    """`budgets`: of budgets' events only those about these."""

    channel_id: Word
    events: Events
    budgets: Annotated[list[Word], Field(min_length=1, max_length=500)] | None = None
