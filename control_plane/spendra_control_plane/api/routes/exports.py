"""`/v1/exports`: the ledger as files, streamed."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from spendra_control_plane.access.callers import Seen
from spendra_control_plane.api.gates import within
from spendra_control_plane.api.plane import InPlane
from spendra_control_plane.api.questions import AsksPart
from spendra_control_plane.reporting import exports
from spendra_control_plane.reporting.kept import require_kept

router = APIRouter(prefix="/v1", tags=["exports"])

Sees = Annotated[Seen, within("spend:read")]
_COLUMNS = {"finance": exports.FINANCE, "focus": exports.FOCUS}
_CSV: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}}
}


@router.get("/exports/{columns}.csv", response_class=StreamingResponse, responses=_CSV)
async def export_csv(
    plane: InPlane, seen: Sees, columns: Literal["finance", "focus"], part: AsksPart
) -> StreamingResponse:
    """Oldest first, half-open in time by when the money was reserved."""
    await require_kept(plane.pool, seen.org_id, part.start)
    lines = exports.rows(plane.pool, seen, part, _COLUMNS[columns])
    headers = {"content-disposition": f'attachment; filename="spendra-{columns}.csv"'}
    return StreamingResponse(lines, media_type="text/csv", headers=headers)
