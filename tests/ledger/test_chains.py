"""The hash of the tree, against the vectors of RFC 6962, and a row that differs, found."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendra.chains import Seal, first_difference, is_sound, leaf_hash, root, seal

# The tree of certificate-transparency's own reference implementation, by number of leaves.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def tree(leaves: list[bytes]) -> bytes:
    """As section 2.1 of the RFC defines it, recursively."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + tree(leaves[:split]) + tree(leaves[split:])).digest()


@pytest.mark.parametrize(("count", "expected"), ROOTS.items())
def test_the_root_is_that_of_the_rfc(count: int, expected: str) -> None:
    assert root(map(leaf_hash, LEAVES[:count])).hex() == expected


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_the_root_is_that_of_the_definition(rows: list[bytes]) -> None:
    leaves = [leaf_hash(row) for row in rows]
    assert root(leaves) == tree(leaves)


def sealed(lines: list[bytes], after: Seal | None = None, last: int = 10) -> Seal:
    return seal(after, last, lines, "2026-01-01T00:00:00+00:00", "spend_events", "org")


def test_each_seal_binds_the_one_before() -> None:
    first = sealed([b"a"])
    second = sealed([b"b"], first, 20)
    assert is_sound(first, None)
    assert is_sound(second, first)
    assert not is_sound(second, None)
    assert not is_sound(second, sealed([b"x"]))


@pytest.mark.parametrize("name", ["rows", "last_batch", "root", "sealed_at", "org_id", "chain"])
def test_every_field_of_a_seal_is_in_its_hash(name: str) -> None:
    made = sealed([b"a"])
    changed = {"rows": 2, "last_batch": 11}.get(name, "0" * 64)
    fields = {field: getattr(made, field) for field in made.__struct_fields__}
    assert not is_sound(Seal(**{**fields, name: changed}), None)


@pytest.mark.parametrize(
    ("found", "phrase"),
    [
        ("abcd", None),
        ("abXd", "row 2 was changed"),
        ("acd", "a row is missing before 1"),
        ("abc", "a row is missing after 2"),
        ("", "all its rows are missing"),
        ("abXcd", "row 2 was added"),
        ("abcdX", "row 4 was added"),
        ("acbd", "row 1 was moved"),
    ],
)
def test_the_first_row_that_differs_is_named(found: str, phrase: str | None) -> None:
    lines = [letter.encode() for letter in found]
    keys = [str(at) for at in range(len(lines))]
    assert first_difference(sealed([b"a", b"b", b"c", b"d"]).marks, keys, lines) == phrase
