"""Compile an organization's configuration into the segments of a snapshot."""

from collections import defaultdict
from collections.abc import Set as AbstractSet
from typing import Literal, NamedTuple

import msgspec

from spendra.snapshot import (
    KEYS,
    BudgetRecord,
    FallbackRecord,
    IssuerRecord,
    KeyHash,
    KeyRecord,
    KeysSegment,
    PolicyRecord,
    PolicySegment,
    RouteRecord,
    Rules,
    SecretsSegment,
    keys_name,
)
from spendra_control_plane.keys import shard_of
from spendra_control_plane.snapshots.ancestry import Parents, Scope, flatten, is_closed
from spendra_control_plane.snapshots.moments import ms
from spendra_control_plane.snapshots.prices import PriceRow, prices_segment
from spendra_control_plane.stores.postgres import Connection, Pool, Row
from spendra_control_plane.stores.sql import statements
from spendra_control_plane.stores.vault import Vault, credential_of

SQL = statements("compile")


class Tree(NamedTuple):
    """The scope registry, as far as keys are concerned."""

    parents: Parents
    archived: frozenset[Scope]


async def compile_segments(
    connection: Connection, org: Row, vault: Vault, catalog: bytes, names: AbstractSet[str]
) -> dict[str, bytes]:
    """These segments; one of keys that has none any more is left out.

    `org` is the organization's row; the caller holds its lock.
    """
    org_id = org["id"]
    found = await _keys(connection, org_id, [int(name[-2:], 16) for name in names if KEYS(name)])
    if "policy" in names:
        found["policy"] = msgspec.json.encode(await policy_segment(connection, org))
    if "prices" in names:
        found["prices"] = prices_segment(catalog, await own_prices(connection, org_id))
    if "secrets" in names:
        found["secrets"] = msgspec.json.encode(await _secrets(connection, org, vault))
    return found


async def own_prices(connection: Connection | Pool, org_id: str) -> list[PriceRow]:
    """The organization's own prices, the newest first."""
    return [dict(row.items()) for row in await connection.fetch(SQL["prices"], org_id)]


async def _keys(connection: Connection, org_id: str, shards: list[int]) -> dict[str, bytes]:
    if not shards:
        return {}
    parents = await read_parents(connection, org_id)
    archived = await connection.fetch(SQL["archived"], org_id)
    tree = Tree(parents, frozenset((row["kind"], row["name"]) for row in archived))
    hashes: dict[str, list[KeyHash]] = defaultdict(list)
    for row in await connection.fetch(SQL["key_hashes"], org_id, shards):
        hashes[row["key_id"]].append(KeyHash(hash=row["hash"], expires_at_ms=ms(row["expires_at"])))
    keys: dict[str, list[KeyRecord]] = defaultdict(list)
    for row in await connection.fetch(SQL["keys"], org_id, shards):
        keys[keys_name(row["shard"])].append(_key(row, hashes[row["id"]], tree))
    return {name: msgspec.json.encode(KeysSegment(keys=found)) for name, found in keys.items()}


async def key_record(connection: Connection, org_id: str, key_id: str) -> KeyRecord | None:
    """A key as sidecars know it; None for one that they do not."""
    segments = await _keys(connection, org_id, [shard_of(key_id)])
    known = [msgspec.json.decode(data, type=KeysSegment).keys for data in segments.values()]
    return next((key for keys in known for key in keys if key.id == key_id), None)


async def read_parents(connection: Connection, org_id: str) -> Parents:
    """Every parent of every scope of the organization."""
    parents: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for row in await connection.fetch(SQL["parents"], org_id):
        parents[row["kind"], row["name"]].append((row["parent_kind"], row["parent_name"]))
    return parents


def _key(row: Row, hashes: list[KeyHash], tree: Tree) -> KeyRecord:
    return KeyRecord(
        id=row["id"],
        name=row["name"],
        environment=row["environment"],
        state=_key_state(row, tree),
        hashes=hashes,
        scope=flatten(row["scope"], tree.parents),
        projects={
            name: flatten({**row["scope"], "project": name}, tree.parents)
            for name in row["projects"] or ()
            if not is_closed(("project", name), tree.archived, tree.parents)
        },
        models=row["models"],
        providers=row["providers"],
        tools=row["tools"],
        delegated_from=row["delegated_from"],
        max_request_nanousd=row["max_request_nanousd"],
        expires_at_ms=ms(row["expires_at"]),
    )


def _key_state(row: Row, tree: Tree) -> Literal["active", "paused", "revoked"]:
    """A key of a closed scope is paused for as long as that is closed; and no key outlives those
    that it was delegated from."""
    states = {row["state"], *row["states_above"]}
    if "revoked" in states:
        return "revoked"
    state: Literal["active", "paused"] = "paused" if "paused" in states else "active"
    own = row["scope"].items()
    if state == "active" and any(is_closed(one, tree.archived, tree.parents) for one in own):
        return "paused"
    return state


async def policy_segment(connection: Connection, org: Row) -> PolicySegment:
    """The budgets and policies in force. `org` is the organization's row."""
    budgets = await connection.fetch(SQL["budgets"], org["id"])
    policies = await connection.fetch(SQL["policies"], org["id"])
    return PolicySegment(
        budgets=[budget_record(row) for row in budgets],
        policies=[_policy_record(row) for row in policies],
        default_output_tokens=org["default_output_tokens"],
    )


def budget_record(row: Row) -> BudgetRecord:
    """A budget's row as the snapshot says it."""
    return BudgetRecord(
        id=row["id"],
        name=row["name"],
        selector=row["selector"],
        period=row["period"],
        timezone=row["timezone"],
        limit_nanousd=row["limit_nanousd"],
        kind=row["kind"],
        version=row["version"],
        starts_at_ms=ms(row["starts_at"]),
        ends_at_ms=ms(row["ends_at"]),
        open_up_to_nanousd=row["open_up_to_nanousd"],
    )


def _policy_record(row: Row) -> PolicyRecord:
    rules = msgspec.convert(row["rules"], Rules)
    return PolicyRecord(id=row["id"], name=row["name"], selector=row["selector"], rules=rules)


async def _secrets(connection: Connection, org: Row, vault: Vault) -> SecretsSegment:
    pepper = vault.unseal(org["id"], "key_pepper", org["key_pepper_sealed"])
    rows = await connection.fetch(SQL["routes"], org["id"])
    routes = [_route(row, org["id"], vault) for row in rows]
    issuers = await _issuers(connection, org["id"])
    return SecretsSegment(key_pepper=pepper.hex(), routes=routes, issuers=issuers)


async def _issuers(connection: Connection, org_id: str) -> list[IssuerRecord]:
    rows = await connection.fetch(SQL["issuers"], org_id)
    parents = await read_parents(connection, org_id) if rows else {}
    return [
        IssuerRecord(
            name=row["name"],
            issuer=row["issuer"],
            audience=row["audience"],
            jwks_url=row["jwks_url"],
            key_id=row["stands_for"],
            claims=row["claims"],
            above={kind: _above(kind, parents) for kind in row["claims"]},
        )
        for row in rows
    ]


def _above(kind: str, parents: Parents) -> dict[str, dict[str, list[str]]]:
    """Of each scope of a kind, everything that it counts for besides itself."""
    found = {}
    for scope in parents:
        if scope[0] == kind:
            flat = flatten({kind: scope[1]}, parents)
            flat[kind] = flat[kind][1:]
            found[scope[1]] = {name: values for name, values in flat.items() if values}
    return found


def _route(row: Row, org_id: str, vault: Vault) -> RouteRecord:
    sealed = row["credential_sealed"]
    purpose = credential_of(row["provider"])
    return RouteRecord(
        provider=row["provider"],
        kind=row["kind"],
        base_url=row["base_url"],
        credential=vault.unseal(org_id, purpose, sealed).decode() if sealed else "",
        credential_file=row["credential_file"] or "",
        scope=row["scope"],
        models=row["models"],
        fallbacks=msgspec.convert(row["fallbacks"], list[FallbackRecord]),
        parameters=row["parameters"],
        model_names=row["model_names"],
        ceilings_nanousd=row["ceilings_nanousd"],
    )
