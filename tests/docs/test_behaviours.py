"""docs/behaviours.md names tests that exist, for each behaviour that it must show."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
REQUIRED = {*range(1, 14), *range(24, 28), 29, 32}


def rows() -> list[tuple[str, str, str]]:
    return ROW.findall((ROOT / "docs" / "behaviours.md").read_text("utf-8"))


def test_every_behaviour_about_money_stores_and_keys_is_there_once() -> None:
    numbers = [int(number) for number, _, _ in rows()]
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) >= REQUIRED


def test_every_test_that_is_named_exists() -> None:
    for number, _, shown in rows():
        named = TEST.findall(shown)
        assert named, number
        for path, name in named:
            assert f"def {name}(" in (ROOT / path).read_text("utf-8"), name
