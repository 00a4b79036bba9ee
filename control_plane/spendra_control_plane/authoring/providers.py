"""Provider routes: where a provider is reached, with which credential, for which models."""

from dataclasses import dataclass
from typing import Any

from spendra_control_plane.authoring.refusals import refuse_invalid, refuse_missing
from spendra_control_plane.snapshots.publish import Change, Publisher
from spendra_control_plane.stores.postgres import Pool, Row
from spendra_control_plane.stores.sql import statements

SQL = statements("providers")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """`keeps_credential`: the stored one stays, and `credential` says nothing."""

    base_url: str
    keeps_credential: bool
    credential: str
    models: list[str]


async def put(publisher: Publisher, org_id: str, provider: str, draft: Draft) -> dict[str, Any]:
    """A stored credential is never sent to an address that was written without it."""
    async with publisher.change(org_id) as change:
        old = await change.connection.fetchrow(SQL["get"], org_id, provider)
        _check_address(provider, draft, old)
        sealed = _sealed(publisher, change, provider, draft, old)
        await change.connection.execute(
            SQL["put"], org_id, provider, draft.base_url, sealed, draft.models
        )
        return _view(await _read(change, provider))


async def remove(publisher: Publisher, org_id: str, provider: str) -> dict[str, Any]:
    async with publisher.change(org_id) as change:
        row = await _read(change, provider)
        await change.connection.execute(SQL["remove"], org_id, provider)
        change.restricts = True
    return {**_view(row), "state": "removed"}


async def page(pool: Pool, org_id: str, after: str, limit: int) -> list[dict[str, Any]]:
    return [_view(row) for row in await pool.fetch(SQL["page"], org_id, after, limit)]


def _check_address(provider: str, draft: Draft, old: Row | None) -> None:
    if old is None or not draft.keeps_credential or not old["credential_sealed"]:
        return
    if old["base_url"] != draft.base_url:
        detail = (
            f"The address of {provider!r} changes: give its credential again, or null for none."
        )
        refuse_invalid(detail)


def _sealed(
    publisher: Publisher, change: Change, provider: str, draft: Draft, old: Row | None
) -> bytes | None:
    if draft.keeps_credential:
        return old["credential_sealed"] if old is not None else None
    if not draft.credential:
        return None
    purpose = f"credential {provider}"
    return publisher.vault.seal(change.org_id, purpose, draft.credential.encode())


async def _read(change: Change, provider: str) -> Row:
    row = await change.connection.fetchrow(SQL["get"], change.org_id, provider)
    if row is None:
        refuse_missing("provider", provider)
    return row


def _view(row: Row) -> dict[str, Any]:
    columns = {name: value for name, value in row.items() if name != "credential_sealed"}
    return {**columns, "has_credential": row["credential_sealed"] is not None}
