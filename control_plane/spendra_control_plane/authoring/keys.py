"""API keys: made, listed, rotated, paused, resumed and revoked. A key's text is shown once."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from spendra._hot import HotError, hash_key
from spendra_control_plane import keys
from spendra_control_plane.access.callers import Seen, require_within
from spendra_control_plane.authoring import scopes
from spendra_control_plane.authoring.amounts import amount
from spendra_control_plane.authoring.refusals import (
    refuse_conflict,
    refuse_invalid,
    refuse_missing,
)
from spendra_control_plane.snapshots.ancestry import Parents, flatten
from spendra_control_plane.snapshots.compile import read_parents
from spendra_control_plane.snapshots.publish import Change, Publisher
from spendra_control_plane.stores.postgres import Connection, Pool, Row
from spendra_control_plane.stores.sql import statements
from spendra_control_plane.stores.vault import Vault

SQL = statements("keys")
_T = TypeVar("_T", int, datetime)
_KEY = re.compile(r"spd_[a-z0-9]{1,16}_[A-Za-z0-9]{12}_[A-Za-z0-9]+")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """`scope` maps each dimension to one name; `models`, `providers` and `tools` are globs.

    `projects`: each request names one of them, in place of a project in `scope`.
    """

    name: str
    scope: Mapping[str, str]
    environment: str | None
    projects: list[str] | None
    models: list[str] | None
    providers: list[str] | None
    tools: list[str] | None
    max_request_nanousd: int | None
    expires_at: datetime | None
    delegated_from: list[str] = field(default_factory=list)


async def create(
    publisher: Publisher, org_id: str, draft: Draft, above_id: str | None = None
) -> dict[str, Any]:
    """The answer alone holds the key's text. Names in `scope` that are new are registered.

    With `above_id` it is delegated from that key: what the draft leaves out it has from there.
    """
    async with publisher.change(org_id) as change:
        if above_id is not None:
            above = await _read(change.connection, org_id, above_id)
            draft = _within(above, draft, await read_parents(change.connection, org_id))
        environment = draft.environment or "live"
        await scopes.register(change.connection, org_id, draft.scope)
        for project in draft.projects or ():
            await scopes.register(change.connection, org_id, {"project": project})
        minted = await _mint(publisher, change, environment)
        await change.connection.execute(
            SQL["insert"],
            org_id,
            minted.id,
            *_columns(draft, environment),
            keys.shard_of(minted.id),
        )
        await change.connection.execute(SQL["insert_hash"], org_id, minted.id, minted.hash)
        view = _view(await _read(change.connection, org_id, minted.id))
    return {**view, "key": minted.text}


async def rotate(
    publisher: Publisher, org_id: str, key_id: str, grace_seconds: int
) -> dict[str, Any]:
    """A new text under the same id; the old one is good for `grace_seconds` more."""
    async with publisher.change(org_id) as change:
        row = await _read(change.connection, org_id, key_id)
        if row["state"] == "revoked":
            _refuse_revoked(key_id)
        minted = await _mint(publisher, change, row["environment"], key_id)
        await change.connection.execute(SQL["expire_hashes"], org_id, key_id, grace_seconds)
        await change.connection.execute(SQL["insert_hash"], org_id, key_id, minted.hash)
        change.restricts = grace_seconds == 0
    return {**_view(row), "key": minted.text}


async def set_state(publisher: Publisher, org_id: str, key_id: str, state: str) -> dict[str, Any]:
    """`active`, `paused` or `revoked`; the last is for ever. Saying it twice is no error."""
    async with publisher.change(org_id) as change:
        row = await _read(change.connection, org_id, key_id)
        if row["state"] == "revoked" and state != "revoked":
            _refuse_revoked(key_id)
        await change.connection.execute(SQL["set_state"], org_id, key_id, state)
        change.restricts = state != "active"
        return _view(await _read(change.connection, org_id, key_id))


async def get(pool: Pool, seen: Seen, key_id: str) -> dict[str, Any]:
    async with pool.acquire() as connection:
        row = await _read(connection, seen.org_id, key_id)
        await require_within(connection, seen, row["scope"], ("key", key_id))
        return _view(row)


async def page(
    pool: Pool, seen: Seen, state: str | None, after: str, limit: int
) -> list[dict[str, Any]]:
    rows = await pool.fetch(SQL["page"], seen.org_id, state, after, limit, seen.reach)
    return [_view(row) for row in rows]


async def scan(pool: Pool, vault: Vault, org_id: str, text: str) -> list[dict[str, Any]]:
    """The organization's keys that stand in a text, such as a log or a commit; `works`: the very
    secret would be taken by a sidecar now."""
    presented: dict[str, set[str]] = defaultdict(set)
    for match in _KEY.findall(text):
        presented[match.split("_")[2]].add(match)
    async with pool.acquire() as connection:
        pepper = vault.unseal(
            org_id, "key_pepper", await connection.fetchval(SQL["pepper"], org_id)
        )
        rows = await connection.fetch(SQL["known"], org_id, list(presented))
    return [_leaked(row, presented[row["id"]], pepper) for row in rows]


def _leaked(row: Row, texts: set[str], pepper: bytes) -> dict[str, Any]:
    expired = row["expires_at"] is not None and row["expires_at"] <= datetime.now(UTC)
    is_good = any(_hash(text, pepper) in row["hashes"] for text in texts)
    plain = {name: value for name, value in row.items() if name != "hashes"}
    works = is_good and row["state"] == "active" and not expired
    return {**_view(plain), "works": works}


def _hash(text: str, pepper: bytes) -> str | None:
    """None for a key that is cut, or changed: its checksum does not fit."""
    try:
        return hash_key(text, pepper)
    except HotError:
        return None


async def _mint(
    publisher: Publisher, change: Change, environment: str, key_id: str | None = None
) -> keys.MintedKey:
    sealed = await change.connection.fetchval(SQL["pepper"], change.org_id)
    pepper = publisher.vault.unseal(change.org_id, "key_pepper", sealed)
    return keys.mint(environment, pepper, key_id)


async def _read(connection: Connection, org_id: str, key_id: str) -> Row:
    row = await connection.fetchrow(SQL["get"], org_id, key_id)
    if row is None:
        refuse_missing("key", key_id)
    return row


def _columns(draft: Draft, environment: str) -> tuple[object, ...]:
    return (
        draft.name,
        environment,
        draft.scope,
        draft.projects,
        draft.models,
        draft.providers,
        draft.tools,
        draft.max_request_nanousd,
        draft.expires_at,
        draft.delegated_from,
    )


def _within(above: Row, draft: Draft, parents: Parents) -> Draft:
    """What the draft wishes, and the rest from the key above. Raises Refusal for more than that."""
    name = above["id"]
    expired = above["expires_at"] is not None and above["expires_at"] <= datetime.now(UTC)
    if above["state"] != "active" or expired:
        refuse_conflict(f"The key {name!r} is {'expired' if expired else above['state']}.")
    scope = {**above["scope"], **draft.scope}
    reached = flatten(scope, parents)
    for dimension, value in above["scope"].items():
        if value not in reached[dimension]:
            beyond = f"{scope[dimension]!r} is not {value!r} or below it"
            _refuse_beyond(name, f"scope.{dimension}", beyond)
    if draft.environment not in (None, above["environment"]):
        _refuse_beyond(name, "environment", f"it is {above['environment']!r}")
    return replace(
        draft,
        scope=scope,
        projects=_projects_within(name, above, draft),
        environment=above["environment"],
        models=_list_within(name, "models", above["models"], draft.models),
        providers=_list_within(name, "providers", above["providers"], draft.providers),
        tools=_list_within(name, "tools", above["tools"], draft.tools),
        max_request_nanousd=_least(
            name, "max_request_usd", above["max_request_nanousd"], draft.max_request_nanousd
        ),
        expires_at=_least(name, "expires_at", above["expires_at"], draft.expires_at),
        delegated_from=[name, *above["delegated_from"]],
    )


def _projects_within(name: str, above: Row, draft: Draft) -> list[str] | None:
    wished, known = draft.projects, above["projects"]
    if "project" in draft.scope:
        _list_within(name, "scope.project", known, [draft.scope["project"]])
        return None
    if wished is not None and "project" in above["scope"]:
        _refuse_beyond(name, "projects", f"it is of the project {above['scope']['project']!r}")
    return _list_within(name, "projects", known, wished)


def _list_within(
    name: str, what: str, above: list[str] | None, wished: list[str] | None
) -> list[str] | None:
    """Patterns can only be held against each other by their text."""
    if above is None or wished is None:
        return above if wished is None else wished
    more = sorted(set(wished) - set(above))
    if more:
        _refuse_beyond(name, what, f"{more[0]!r} is none of {', '.join(above)}")
    return wished


def _least(name: str, what: str, above: _T | None, wished: _T | None) -> _T | None:
    if above is None or wished is None:
        return above if wished is None else wished
    if wished > above:
        _refuse_beyond(name, what, "it is more")
    return wished


def _refuse_beyond(name: str, what: str, why: str) -> NoReturn:
    refuse_invalid(f"{what}: a delegated key cannot exceed {name!r}: {why}.")


def _view(row: Row | Mapping[str, Any]) -> dict[str, Any]:
    columns = {name: value for name, value in row.items() if name != "max_request_nanousd"}
    return {**columns, **amount("max_request", row["max_request_nanousd"])}


def _refuse_revoked(key_id: str) -> NoReturn:
    refuse_conflict(f"The key {key_id!r} is revoked for ever; create a new one.")
