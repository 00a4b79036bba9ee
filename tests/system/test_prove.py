"""`spendra prove` against a running product, whose stores it may kill, and which goes on."""

import subprocess
import sys

import pytest

from tests.system.conftest import System, running
from tests.system.test_faults import governed, until_it_works


@pytest.mark.timeout(300)
def test_a_running_product_is_proved_and_goes_on(provider: str) -> None:
    with running(provider, "--sidecars", "2") as system:
        budget_id, key = governed(system, "bystander", "10")
        until_it_works(system, key)
        before = system.drained(budget_id)["settled_nanousd"]
        up_file = system.directory / ".spendra" / "up.json"
        words = ["--up-file", str(up_file), "--burst", "60", "--room", "11", "--seed", "1"]
        proved = subprocess.run(
            [sys.executable, "-m", "spendra.command", "prove", *words, "--kill", "redis,postgres"],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            cwd=system.directory,
        )
        assert proved.returncode == 0, proved.stdout + proved.stderr
        assert "overspent" in proved.stdout
        until_it_works(system, key)
        assert system.drained(budget_id)["settled_nanousd"] > before


def test_stores_that_are_not_embedded_are_not_killed(provider: str, system: System) -> None:
    del provider
    up_file = system.directory / "other.json"
    up = (system.directory / ".spendra" / "up.json").read_text()
    up_file.write_text(up.replace('"postgres":', '"somebody":').replace('"valkey":', '"else":'))
    words = ["--up-file", str(up_file), "--kill", "postgres"]
    refused = subprocess.run(
        [sys.executable, "-m", "spendra.command", "prove", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 64, refused.stdout + refused.stderr
    assert "postgres" in refused.stderr
