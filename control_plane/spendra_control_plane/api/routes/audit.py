"""`/v1/audit`."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from spendra_control_plane.api.gates import may
from spendra_control_plane.api.paging import Paging
from spendra_control_plane.api.plane import InPlane
from spendra_control_plane.api.questions import Moment, read_moment
from spendra_control_plane.reporting import audit

router = APIRouter(prefix="/v1/audit", tags=["audit"])

Reads = Annotated[str, may("audit:read")]


@router.get("")
async def list_audit(  # noqa: PLR0913, PLR0917 - each is one filter
    plane: InPlane,
    org_id: Reads,
    asked: Paging,
    start: Annotated[Moment, Query(alias="from")] = None,
    end: Annotated[Moment, Query(alias="to")] = None,
    actor: str | None = None,
    what: str | None = None,
    subject: str | None = None,
) -> dict[str, Any]:
    """Every change of what operators write, newest first, with what it was before."""
    question = audit.Question(
        start=read_moment("from", start),
        end=read_moment("to", end),
        actor=actor,
        what=what,
        subject=subject,
        before=asked.after_number(),
    )
    return asked.page(await audit.page(plane.pool, org_id, question, asked.fetch), "id")
