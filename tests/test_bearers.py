"""Tokens that are presented."""

import pytest

from spendra.bearers import bears


@pytest.mark.parametrize("header", ["Bearer abc", "bearer abc"])
def test_the_token_is_taken(header: str) -> None:
    assert bears(header, "abc")


@pytest.mark.parametrize(
    "header", [None, "", "abc", "Bearer", "Bearer ab", "Bearer abcd", "Basic abc", "Bearer é"]
)
def test_anything_else_is_not(header: str | None) -> None:
    assert not bears(header, "abc")


@pytest.mark.parametrize("header", [None, "Bearer x"])
def test_nothing_is_asked_for_by_an_empty_one(header: str | None) -> None:
    assert bears(header, "")
