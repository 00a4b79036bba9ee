"""What of a snapshot travels to the sidecars of one token: some keys, some provider routes.

Budgets, policies and prices travel whole: a request's labels and headers may make any count.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from spendra.scopes import globs, selects
from spendra.snapshot import KEYS, KeyRecord, KeysSegment, RouteRecord, SecretsSegment, Selector


class View(NamedTuple):
    """Keys that the selector selects and routes whose names fit. Compares, and may name a cache."""

    scope: tuple[tuple[str, tuple[str, ...]], ...]
    providers: tuple[str, ...]

    def selector(self) -> Selector:
        return {dimension: list(values) for dimension, values in self.scope}

    def patterns(self) -> list[str] | None:
        """None: of any name."""
        return list(self.providers) or None


def view_of(scope: Mapping[str, Sequence[str]], providers: Sequence[str] | None) -> View:
    """`scope` is a selector over what keys are bound to, `key` and `environment`."""
    sorted_scope = sorted((dimension, tuple(sorted(values))) for dimension, values in scope.items())
    return View(tuple(sorted_scope), tuple(sorted(providers or ())))


WHOLE = view_of({}, None)


class Shards:
    """What a view shows of each segment of keys, by the segment's hash; None: no key of it."""

    def __init__(self, view: View) -> None:
        self._selector = view.selector()
        self._seen: dict[str, bytes | None] = {}

    async def narrowed(
        self, hashes: Mapping[str, str], segments: Mapping[str, bytes]
    ) -> dict[str, bytes]:
        """The segments of keys, by name. `segments` holds the bytes of each hash."""
        seen, found = {}, {}
        for name, digest in hashes.items():
            if not KEYS(name):
                continue
            if digest not in self._seen:
                self._seen[digest] = self._narrow(segments[digest])
                # Thousands of keys are read here: others have their turn between segments.
                await asyncio.sleep(0)
            data = seen[digest] = self._seen[digest]
            if data is not None:
                found[name] = data
        self._seen = seen
        return found

    def _narrow(self, data: bytes) -> bytes | None:
        every = msgspec.json.decode(data, type=KeysSegment).keys
        kept = [key for key in every if selects(self._selector, facts_of(key))]
        if len(kept) == len(every):
            return data
        return msgspec.json.encode(KeysSegment(keys=kept)) if kept else None


def facts_of(key: KeyRecord) -> Selector:
    """What a selector over keys sees of one; a delegated key counts for those above it too."""
    own = {"key": [key.id, *key.delegated_from], "environment": [key.environment]}
    bound: dict[str, list[str]] = {}
    for scope in (key.scope, *key.projects.values()):
        for dimension, names in scope.items():
            bound.setdefault(dimension, []).extend(names)
    return {**bound, **own}


def narrow_secrets(data: bytes, view: View, shards: Mapping[str, bytes]) -> bytes:
    """Routes that the view names, those of a scope only where it has a key that may use them, and
    issuers of tokens that stand for a key of it."""
    every = msgspec.json.decode(data, type=SecretsSegment)
    named = _named(every.routes, view)
    if not (every.issuers or any(route.scope for route in named)):
        return msgspec.json.encode(msgspec.structs.replace(every, routes=named))
    keys = [
        key
        for shard in shards.values()
        for key in msgspec.json.decode(shard, type=KeysSegment).keys
    ]
    ids = {key.id for key in keys}
    issuers = [issuer for issuer in every.issuers if issuer.key_id in ids]
    # A claim may name any scope, so that its bearer may use any route of one.
    facts = [] if issuers else [facts_of(key) for key in keys]
    routes = named if issuers else [route for route in named if _is_used(route, facts)]
    return msgspec.json.encode(msgspec.structs.replace(every, routes=routes, issuers=issuers))


def _named(routes: list[RouteRecord], view: View) -> list[RouteRecord]:
    if not view.providers:
        return routes
    named = globs(view.providers)
    return [route for route in routes if named.fullmatch(route.provider)]


def _is_used(route: RouteRecord, facts: list[Selector]) -> bool:
    """By some key, of which a selector sees these facts."""
    return not route.scope or any(selects(route.scope, each) for each in facts)
