"""The ancestors of a scope: what a key counts against besides what it names."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

Scope = tuple[str, str]
"""Kind and name."""

Parents = Mapping[Scope, Sequence[Scope]]

NEAREST_FIRST = ("agent", "project", "person", "team", "tier", "cost_center")
"""Whose ancestors are named first, where a key names several: the first cost center is charged."""

_UNITS = frozenset({"team", "project", "agent"})
"""Kinds that close what is below them; a tier or a cost center only says how it is counted."""


def ancestors(start: Scope, parents: Parents) -> list[Scope]:
    """`start` and everything above it, nearest first, each once; a loop ends where it closes."""
    found = [start]
    for scope in found:
        found.extend(parent for parent in parents.get(scope, ()) if parent not in found)
    return found


def flatten(scope: Mapping[str, str], parents: Parents) -> dict[str, list[str]]:
    """Each dimension to the names that count, the key's own first."""
    flat: dict[str, list[str]] = {kind: [name] for kind, name in scope.items()}
    for own in sorted(scope.items(), key=lambda named: NEAREST_FIRST.index(named[0])):
        for kind, name in ancestors(own, parents)[1:]:
            names = flat.setdefault(kind, [])
            if name not in names:
                names.append(name)
    return flat


def is_closed(scope: Scope, archived: AbstractSet[Scope], parents: Parents) -> bool:
    """It is archived, or all its parents of one kind are closed. Parents form no loop."""
    if scope in archived:
        return True
    by_kind: dict[str, list[Scope]] = defaultdict(list)
    for parent in parents.get(scope, ()):
        if parent[0] in _UNITS:
            by_kind[parent[0]].append(parent)
    return any(all(is_closed(p, archived, parents) for p in same) for same in by_kind.values())
