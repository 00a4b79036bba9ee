"""`spendra bench`: the table that it prints, and what it makes of samples."""

import subprocess
import sys
from pathlib import Path

import pytest

from spendra.arguments import CommandError
from spendra.command.bench import main
from spendra.command.bench.figures import Figures, table
from spendra.command.bench.load import Sample


def test_medians_of_rounds_and_their_difference() -> None:
    direct = [Sample([0.001] * 10, 1.0), Sample([0.002] * 10, 1.0), Sample([0.003] * 10, 1.0)]
    through = [Sample([0.004] * 10, 1.0), Sample([0.005] * 20, 1.0), Sample([0.009] * 30, 1.0)]
    line = table([Figures(7, direct, through)]).splitlines()[1].split()
    assert line == ["7", "2.00", "2.00", "5.00", "5.00", "3.00", "3.00", "20"]


def test_a_single_request_is_its_own_median() -> None:
    one = [Sample([0.5], 1.0)]
    assert "500.00" in table([Figures(1, one, one)])


@pytest.mark.parametrize("words", [["--callers", "0"], ["--seconds", "0"], ["--callers", "x"]])
def test_a_bad_option_is_named(words: list[str]) -> None:
    with pytest.raises(CommandError, match=words[0]):
        main(words)


def test_it_measures_a_product_of_its_own(tmp_path: Path) -> None:
    words = ("bench", "--own-stores", "--callers", "1,4", "--seconds", "1")
    done = subprocess.run(
        [sys.executable, "-m", "spendra.command", *words],
        check=False, capture_output=True, text=True, cwd=tmp_path, timeout=180,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split()[:2] == ["callers", "direct"]
    assert [line.split()[0] for line in lines[1:3]] == ["1", "4"]
