"""Scopes: the dimensions along which money is allotted, and how a scope is written.

A scope as users write it maps a dimension to one value: `{"project": "checkout"}`. Any label
is written as `{"label:feature": "search"}`.
"""

import re
from collections.abc import Collection, Iterable, Mapping

KEY_DIMENSIONS = ("team", "project", "person", "agent", "cost_center", "tier")
"""What a key can be bound to; each value is the name of a row of the scope registry."""

REQUEST_DIMENSIONS = ("key", "environment", "provider", "model", "run")
LABEL_PREFIX = "label:"
ROUTED_FROM = f"{LABEL_PREFIX}spendra.routed_from"
"""The model that the caller asked for, among the facts of what a policy had served by another."""


def is_dimension(name: str) -> bool:
    """Whether a budget's or policy's selector may name this dimension."""
    return (
        name in KEY_DIMENSIONS
        or name in REQUEST_DIMENSIONS
        or (name.startswith(LABEL_PREFIX) and len(name) > len(LABEL_PREFIX))
    )


def selects(selector: Mapping[str, Collection[str]], facts: Mapping[str, Collection[str]]) -> bool:
    """Whether every dimension of the selector has one of its values among the facts.

    Exact values only: for selectors over what keys are bound to.
    """
    return all(set(facts.get(name, ())) & set(values) for name, values in selector.items())


def globs(patterns: Iterable[str]) -> re.Pattern[str]:
    """To `fullmatch` with: `*` is any text and `?` any one character, as policies have them."""
    escaped = (re.escape(each).replace(r"\*", ".*").replace(r"\?", ".") for each in patterns)
    return re.compile("|".join(escaped), re.DOTALL)
