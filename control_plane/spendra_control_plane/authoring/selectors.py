"""Selectors as people write them: a dimension to one value or to several."""

from collections.abc import Mapping
from difflib import get_close_matches

from spendra.scopes import KEY_DIMENSIONS, LABEL_PREFIX, REQUEST_DIMENSIONS, is_dimension
from spendra.snapshot import Selector

LONGEST_VALUE = 200
_KNOWN = (*KEY_DIMENSIONS, *REQUEST_DIMENSIONS)


def read_selector(scope: Mapping[str, str | list[str]]) -> Selector:
    """Every dimension with the list of its values. Raises ValueError for one that is wrong."""
    for dimension in scope:
        check_dimension(dimension, _KNOWN)
    return {dimension: _values(dimension, written) for dimension, written in scope.items()}


def check_key_scope(scope: dict[str, str]) -> dict[str, str]:
    """The same. Raises ValueError unless each dimension is one that a key can be bound to."""
    for dimension, value in scope.items():
        if dimension not in KEY_DIMENSIONS:
            check_dimension(dimension, KEY_DIMENSIONS)
            msg = f"a key cannot be bound to {dimension!r}, only to {', '.join(KEY_DIMENSIONS)}"
            raise ValueError(msg)
        _values(dimension, value)
    return scope


def check_dimension(dimension: str, known: tuple[str, ...]) -> None:
    """Raises ValueError that names the nearest right dimension."""
    if is_dimension(dimension):
        return
    near = get_close_matches(dimension, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else _label_hint(dimension, known)
    msg = f"{dimension!r} is not a scope dimension; {hint}"
    raise ValueError(msg)


def _label_hint(dimension: str, known: tuple[str, ...]) -> str:
    label = f" A label is written {LABEL_PREFIX + dimension!r}." if known is _KNOWN else ""
    return f"use one of {', '.join(known)}.{label}"


def _values(dimension: str, written: str | list[str]) -> list[str]:
    values = [written] if isinstance(written, str) else list(dict.fromkeys(written))
    if not values:
        msg = f"{dimension!r} has no value; leave it out or name at least one"
        raise ValueError(msg)
    for value in values:
        if not value or value != value.strip() or len(value) > LONGEST_VALUE:
            msg = f"a value of {dimension!r} is blank, padded or over {LONGEST_VALUE} characters"
            raise ValueError(msg)
    return values
