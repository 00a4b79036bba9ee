"""What the `spendra` command answers, and with which exit code, before anything runs."""

import os
import socket
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from spendra.command import SUMMARIES
from spendra.command.data_dir import DataDir


def spendra(*words: str, directory: Path, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPENDRA_")}
    return subprocess.run(
        [sys.executable, "-m", "spendra.command", *words],
        check=False,
        capture_output=True,
        text=True,
        cwd=directory,
        env=kept | env,
        timeout=60,
    )


@pytest.mark.parametrize("words", [[], ["fly"]])
def test_no_or_an_unknown_command_lists_them_all(tmp_path: Path, words: list[str]) -> None:
    done = spendra(*words, directory=tmp_path)
    assert done.returncode == 64
    assert {"up", "simulate-provider"} <= set(done.stderr.split())
    assert done.stdout == ""


def test_help_and_version_are_no_errors(tmp_path: Path) -> None:
    shown = spendra("--help", directory=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "simulate-provider" in shown.stdout
    assert spendra("--version", directory=tmp_path).stdout == "spendra 0.1.0\n"
    assert "--upstream" in spendra("up", "--help", directory=tmp_path).stdout


def test_each_command_is_listed_with_what_it_does_and_says_more(tmp_path: Path) -> None:
    commands = {entry.name for entry in entry_points(group="spendra.commands")}
    assert commands == SUMMARIES.keys()
    for name in sorted(commands):
        done = spendra(name, "--help", directory=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), name
        assert done.stdout.startswith(f"usage: spendra {name}"), name
        wrong = spendra(name, "--no-such-option", directory=tmp_path)
        assert wrong.returncode == 64, name
        assert sentence(wrong).startswith(f"spendra {name}: ")


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """All that was said: one line, on stderr."""
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_bad_option_is_one_sentence_and_64(tmp_path: Path) -> None:
    for words in (["up", "--sidecar-port", "x"], ["simulate-provider", "--status", "x"]):
        done = spendra(*words, directory=tmp_path)
        assert done.returncode == 64
        assert words[1] in sentence(done)


def test_one_of_two_external_stores_is_64(tmp_path: Path) -> None:
    done = spendra("up", directory=tmp_path, SPENDRA_REDIS_URL="redis://127.0.0.1:1")
    assert done.returncode == 64
    assert "SPENDRA_DATABASE_URL" in sentence(done)


def test_external_stores_that_do_not_answer_are_69(tmp_path: Path) -> None:
    ports = ["--sidecar-port", "24141", "--control-plane-port", "24142"]
    urls = {
        "SPENDRA_DATABASE_URL": "postgresql://u:secret@127.0.0.1:1/db",
        "SPENDRA_REDIS_URL": "redis://127.0.0.1:1",
    }
    done = spendra("up", *ports, directory=tmp_path, **urls)
    assert done.returncode == 69
    assert "nothing answers at 127.0.0.1:1/db" in sentence(done) or "127.0.0.1:1" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("option", ["--sidecar-port", "--control-plane-port"])
def test_a_port_in_use_is_named_with_its_option(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = spendra("up", option, port, directory=tmp_path)
    assert done.returncode == 69
    assert port in sentence(done)
    assert option in done.stderr


def test_a_second_up_on_the_same_data_is_69(tmp_path: Path) -> None:
    with DataDir(tmp_path / "data"):
        done = spendra("up", "--data-dir", "data", directory=tmp_path)
    assert done.returncode == 69
    assert f"(pid {os.getpid()}) already runs on" in sentence(done)


def test_the_simulated_providers_port_in_use_is_69(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = spendra("simulate-provider", "--port", port, directory=tmp_path)
    assert done.returncode == 69
    assert f"port {port} is in use" in sentence(done)


def test_a_directory_without_recorded_answers_is_64(tmp_path: Path) -> None:
    done = spendra("simulate-provider", "--replay", str(tmp_path), directory=tmp_path)
    assert done.returncode == 64
    assert "holds no recorded answers" in sentence(done)
