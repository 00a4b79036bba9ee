"""docs/providers.md names, for each quirk of a provider that costs money, a test that exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTED = "tests/system/scripted"
ROW = re.compile(r"^\| ([^|]+?) \| (`tests/.+) \|$", re.MULTILINE)
TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
REQUIRED = (
    "shows thinking only in the total",
    "`maxOutputTokens` is not hard",
    "more cached tokens than the prompt",
    "in every chunk",
    "only under `x_groq`",
    "first chunk overstates",
    "tool-use tokens come besides",
    "`service_tier` of the answer differs",
    "an error inside a 200 stream",
    "web-search and other per-call fees",
)
"""Those that are known to have cost users of gateways money."""


def rows() -> list[tuple[str, list[tuple[str, str]]]]:
    text = (ROOT / "docs" / "providers.md").read_text("utf-8")
    return [(quirk, TEST.findall(shown)) for quirk, shown in ROW.findall(text)]


@pytest.mark.parametrize("quirk", REQUIRED)
def test_every_quirk_has_its_row(quirk: str) -> None:
    assert sum(quirk in listed for listed, _ in rows()) == 1


def test_every_row_names_tests_that_exist() -> None:
    for quirk, tests in rows():
        assert tests, quirk
        for path, name in tests:
            assert f"def {name}(" in (ROOT / path).read_text("utf-8"), name


def test_every_test_of_a_quirk_is_in_a_row() -> None:
    path = f"{SCRIPTED}/test_quirks.py"
    written = re.findall(r"^def (test_\w+)\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)
    listed = {name for _, tests in rows() for at, name in tests if at == path}
    assert set(written) == listed
