"""Corrections of what was booked: by a decision's attempt, or by an account."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from spendra_control_plane.authoring.amounts import amount
from spendra_control_plane.authoring.refusals import (
    refuse_conflict,
    refuse_invalid,
    refuse_missing,
)
from spendra_control_plane.stores.postgres import Connection, Pool, Row
from spendra_control_plane.stores.sql import statements

SQL = statements("adjustments")


@dataclass(frozen=True, kw_only=True)
class Correction:
    """Of a decision (one attempt of it), or of an account. Amounts are nano-USD.

    `cost_nanousd` is what the attempt should have cost in all; otherwise `amount_nanousd` is
    added. `id` makes a repeat harmless. `cost_center` and `provider` are for an account's.
    """

    id: UUID
    reason: str
    decision_id: UUID | None
    reservation_id: UUID | None
    account_id: str | None
    amount_nanousd: int | None
    cost_nanousd: int | None
    cost_center: str
    provider: str


async def book(pool: Pool, org_id: str, wanted: Correction, booked_by: str) -> dict[str, Any]:
    """Raises Refusal when there is no such attempt or account, or nothing to correct."""
    async with pool.acquire() as connection:
        if wanted.decision_id:
            await _book_attempt(connection, org_id, wanted, booked_by)
        else:
            await _book_account(connection, org_id, wanted, booked_by)
        row = await connection.fetchrow(SQL["get"], org_id, wanted.id)
    if row is None:
        refuse_conflict("The attempt already stands at that cost; nothing was booked.")
    return view(row)


async def _book_attempt(
    connection: Connection, org_id: str, wanted: Correction, booked_by: str
) -> None:
    found = await connection.fetch(SQL["posted"], org_id, wanted.decision_id, wanted.reservation_id)
    if not found:
        refuse_missing("posted attempt of decision", str(wanted.decision_id))
    if len(found) > 1:
        ids = ", ".join(str(row["reservation_id"]) for row in found)
        refuse_invalid(f"The decision has several attempts; name one as 'reservation_id': {ids}.")
    await connection.execute(
        SQL["adjust_event"],
        org_id,
        wanted.id,
        "manual" if wanted.cost_nanousd is None else "price",
        found[0]["reservation_id"],
        wanted.cost_nanousd,
        wanted.amount_nanousd,
        wanted.reason,
        booked_by,
    )


async def _book_account(
    connection: Connection, org_id: str, wanted: Correction, booked_by: str
) -> None:
    if not await connection.fetchval(SQL["account"], org_id, wanted.account_id):
        refuse_missing("account", str(wanted.account_id))
    await connection.execute(
        SQL["adjust"],
        org_id,
        wanted.id,
        wanted.amount_nanousd,
        wanted.reason,
        booked_by,
        wanted.account_id,
        f"expense:{wanted.cost_center}",
        f"payable:{wanted.provider}",
    )


async def page(
    pool: Pool, org_id: str, before: tuple[datetime, UUID] | None, limit: int
) -> list[dict[str, Any]]:
    """Newest first."""
    rows = await pool.fetch(SQL["page"], org_id, *(before or (None, None)), limit)
    return [view(row) for row in rows]


async def of_decisions(
    connection: Connection, org_id: str, decision_ids: Sequence[UUID]
) -> list[dict[str, Any]]:
    """Oldest first."""
    rows = await connection.fetch(SQL["of_decisions"], org_id, list(decision_ids))
    return [view(row) for row in rows]


def view(row: Row) -> dict[str, Any]:
    columns = {name: value for name, value in row.items() if name != "amount_nanousd"}
    columns["id"] = columns.pop("adjustment_id")
    columns["accounts"] = columns.pop("account_ids")
    return {**columns, **amount("amount", row["amount_nanousd"])}
