"""For whom a task uses the database: each connection is told, and the audit's triggers write it."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Acting:
    """`org_id`: of the rows that may be seen and changed, empty for those of all organizations.

    `reason` is what the caller gave, empty for none.
    """

    actor: str
    org_id: str = ""
    token_id: str = ""
    request_id: str = ""
    reason: str = ""


_ACTING: ContextVar[Acting | None] = ContextVar("acting", default=None)


def act_as(acting: Acting) -> None:
    """From now on, in this task."""
    _ACTING.set(acting)


def acting() -> Acting | None:
    """Whom the task acts for; None for the process itself."""
    return _ACTING.get()
