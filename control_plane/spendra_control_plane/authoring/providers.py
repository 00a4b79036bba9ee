"""Provider routes: where a provider is reached, with which credential, for which models."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from spendra.money import nanousd_to_usd
from spendra.providers import Provider
from spendra.sealing import SealError
from spendra.snapshot import Selector
from spendra_control_plane.authoring import editions
from spendra_control_plane.authoring.refusals import refuse_invalid, refuse_missing
from spendra_control_plane.snapshots.publish import Change, Publisher
from spendra_control_plane.stores.postgres import Connection, Pool, Row
from spendra_control_plane.stores.sql import statements
from spendra_control_plane.stores.vault import credential_of

SQL = statements("providers")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """`keeps_credential`: the stored one stays, and neither `credential` nor its file counts."""

    kind: str
    base_url: str
    keeps_credential: bool
    credential: str
    credential_file: str | None
    scope: Selector = field(default_factory=dict)
    models: list[str]
    fallbacks: list[dict[str, Any]] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    model_names: dict[str, str] = field(default_factory=dict)
    ceilings_nanousd: dict[str, int] = field(default_factory=dict)


def origin(kind: Provider) -> str:
    """The provider's own address, for a route that names none."""
    if not kind.origin:
        refuse_invalid(f"a route of kind {kind.name!r} needs its `base_url`")
    return kind.origin


async def put(
    publisher: Publisher, org_id: str, provider: str, draft: Draft, if_match: str | None = None
) -> dict[str, Any]:
    """A stored credential is never sent to an address that was written without it.

    Once it is written, no request goes by what the route was before.
    """
    async with publisher.change(org_id) as change:
        old = await change.connection.fetchrow(SQL["get"], org_id, provider)
        editions.check(if_match, _view(old) if old is not None else {})
        change.restricts = old is not None
        _check_address(provider, draft, old)
        sealed, file = _credential(publisher, change, provider, draft, old)
        await _check_fallbacks(change, provider, draft)
        await change.connection.execute(
            SQL["put"], org_id, provider, draft.kind, draft.base_url, sealed, draft.models,
            draft.fallbacks, draft.parameters, draft.model_names, draft.ceilings_nanousd, file,
            draft.scope,
        )  # fmt: skip
        return _view(await _read(change.connection, org_id, provider))


async def remove(
    publisher: Publisher, org_id: str, provider: str, if_match: str | None = None
) -> dict[str, Any]:
    async with publisher.change(org_id) as change:
        row = await _read(change.connection, org_id, provider)
        editions.check(if_match, _view(row))
        await change.connection.execute(SQL["remove"], org_id, provider)
        change.restricts = True
    return {**_view(row), "state": "removed"}


async def get(pool: Pool, org_id: str, provider: str) -> dict[str, Any]:
    async with pool.acquire() as connection:
        return _view(await _read(connection, org_id, provider))


async def page(pool: Pool, org_id: str, after: str, limit: int) -> list[dict[str, Any]]:
    return [_view(row) for row in await pool.fetch(SQL["page"], org_id, after, limit)]


async def read(pool: Pool, org_id: str, provider: str) -> Row:
    """The route's row, its credential sealed. Raises Refusal."""
    async with pool.acquire() as connection:
        return await _read(connection, org_id, provider)


async def _check_fallbacks(change: Change, provider: str, draft: Draft) -> None:
    """A fallback is another route that exists."""
    rows = await change.connection.fetch(SQL["names"], change.org_id)
    known = {row["provider"] for row in rows} | {provider}
    for fallback in draft.fallbacks:
        if fallback["route"] not in known:
            names = ", ".join(sorted(known))
            refuse_invalid(f"there is no route {fallback['route']!r}; the routes are {names}")
        if fallback["route"] == provider and not fallback.get("model"):
            refuse_invalid("a route can only fall back to itself with another model")


def _check_address(provider: str, draft: Draft, old: Row | None) -> None:
    if old is None or not draft.keeps_credential or not _has_credential(old):
        return
    if old["base_url"] != draft.base_url:
        detail = (
            f"The address of {provider!r} changes: give its credential again, or null for none."
        )
        refuse_invalid(detail)


def _credential(
    publisher: Publisher, change: Change, provider: str, draft: Draft, old: Row | None
) -> tuple[bytes | None, str | None]:
    """Sealed, or the name of the file at the sidecars that holds it."""
    if draft.keeps_credential:
        return (
            (old["credential_sealed"], old["credential_file"]) if old is not None else (None, None)
        )
    if not draft.credential:
        return None, draft.credential_file
    place, plain = (change.org_id, credential_of(provider)), draft.credential.encode()
    if old is not None and old["credential_sealed"] is not None:
        with suppress(SealError):  # of one that cannot be read, another takes the place
            if publisher.vault.unseal(*place, old["credential_sealed"]) == plain:
                return old["credential_sealed"], None
    return publisher.vault.seal(*place, plain), None


def _has_credential(row: Row) -> bool:
    return row["credential_sealed"] is not None or row["credential_file"] is not None


async def _read(connection: Connection, org_id: str, provider: str) -> Row:
    row = await connection.fetchrow(SQL["get"], org_id, provider)
    if row is None:
        refuse_missing("provider", provider)
    return row


def _view(row: Row) -> dict[str, Any]:
    hidden = ("credential_sealed", "ceilings_nanousd")
    columns = {name: value for name, value in row.items() if name not in hidden}
    ceilings = {path: nanousd_to_usd(most) for path, most in row["ceilings_nanousd"].items()}
    found = {"unmetered_ceiling_usd": ceilings, "has_credential": _has_credential(row)}
    return {**columns, **found}
