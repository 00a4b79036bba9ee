"""The ancestors of a scope: what a key counts against besides what it names."""

from collections.abc import Mapping, Sequence

Scope = tuple[str, str]
"""Kind and name."""

Parents = Mapping[Scope, Sequence[Scope]]


def ancestors(start: Scope, parents: Parents) -> list[Scope]:
    """`start` and everything above it, nearest first, each once; a loop ends where it closes."""
    found = [start]
    for scope in found:
        found.extend(parent for parent in parents.get(scope, ()) if parent not in found)
    return found


def flatten(scope: Mapping[str, str], parents: Parents) -> dict[str, list[str]]:
    """Each dimension to the names that count, the key's own first."""
    flat: dict[str, list[str]] = {kind: [name] for kind, name in scope.items()}
    for own in scope.items():
        for kind, name in ancestors(own, parents)[1:]:
            names = flat.setdefault(kind, [])
            if name not in names:
                names.append(name)
    return flat
