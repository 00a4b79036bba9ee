"""`/v1/doctor`: what an operator would look at first."""

from typing import Annotated, Any

from fastapi import APIRouter

from spendra_control_plane.api.gates import may
from spendra_control_plane.api.plane import InPlane
from spendra_control_plane.reporting.doctor import Patient, examine

router = APIRouter(prefix="/v1", tags=["reports"])

Reads = Annotated[str, may("sidecars:read")]


@router.get("/doctor")
async def get_doctor(plane: InPlane, org_id: Reads) -> dict[str, Any]:
    """Stores, migrations, clocks, worker, sidecars, drift, lost money, prices, notices."""
    return await examine(Patient(plane.pool, plane.floor, plane.sidecars, org_id))
