"""docs/behaviours.md names tests that exist, for each behaviour that it must show."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
FAULT = re.compile(r"^\| ([^|\d][^|]*?) \| (`tests/.+) \|$", re.MULTILINE)
REQUIRED = {*range(1, 23), *range(24, 28), 29, 32}
STRUCK = {
    "sidecar": ("kill -9", "SIGTERM", "SIGSTOP", "clock"),
    "Redis": ("kill -9", "old dump", "FLUSHALL", "replica", "SIGSTOP", "memory", "reply lost"),
    "Redis Cluster": ("resharding", "master lost"),
    "Postgres": (
        *("kill -9", "SIGSTOP", "answer lost", "disk full", "deadlock", "serialization"),
        "too many connections",
    ),
    "": (
        *("control plane", "two workers", "two rebuilders", "lowered", "deleted", "created"),
        *("revoked", "rolling over", "hangs up", "upstream cuts", "upstream hangs"),
        *("answers late", "usage twice", "never", "above the bound"),
    ),
}
"""Who is struck, and by what."""


def rows() -> list[tuple[str, str, str]]:
    return ROW.findall((ROOT / "docs" / "behaviours.md").read_text("utf-8"))


def faults() -> list[tuple[str, str]]:
    return FAULT.findall((ROOT / "docs" / "behaviours.md").read_text("utf-8"))


def test_every_fault_has_its_test() -> None:
    listed = [what for what, _ in faults()]
    for who, hows in STRUCK.items():
        for how in hows:
            assert any(what.startswith(who) and how in what for what in listed), (who, how)


def test_every_behaviour_about_money_stores_and_keys_is_there_once() -> None:
    numbers = [int(number) for number, _, _ in rows()]
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) >= REQUIRED


def test_every_test_that_is_named_exists() -> None:
    shown_by = {number: shown for number, _, shown in rows()} | dict(faults())
    for what, shown in shown_by.items():
        named = TEST.findall(shown)
        assert named, what
        for path, name in named:
            assert f"def {name}(" in (ROOT / path).read_text("utf-8"), name
