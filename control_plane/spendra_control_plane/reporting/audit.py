"""The audit: every change of what operators write, newest first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from spendra_control_plane.stores.postgres import Pool
from spendra_control_plane.stores.sql import statements

SQL = statements("audit")


@dataclass(frozen=True, kw_only=True)
class Question:
    """Half-open in time; None asks for any. `before`: the id of the last item seen."""

    start: datetime | None
    end: datetime | None
    actor: str | None
    what: str | None
    subject: str | None
    before: int | None


async def page(pool: Pool, org_id: str, asked: Question, limit: int) -> list[dict[str, Any]]:
    filters = (asked.start, asked.end, asked.actor, asked.what, asked.subject, asked.before)
    return [dict(row.items()) for row in await pool.fetch(SQL["page"], org_id, *filters, limit)]
