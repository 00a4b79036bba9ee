"""Installing from a package registry, through its ordinary client, below one folder."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benches.gateway import UnavailableError

_LONGEST_S = 900


def run(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None) -> None:
    """Raises UnavailableError with the last line that the command said."""
    if shutil.which(argv[0]) is None:
        msg = f"{argv[0]} is not installed here"
        raise UnavailableError(msg)
    try:
        done = subprocess.run(  # noqa: S603 - the registries' own clients
            argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=_LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        msg = f"{argv[0]} took longer than {_LONGEST_S} s"
        raise UnavailableError(msg) from error
    if done.returncode:
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        msg = f"{argv[0]} failed: {_without_addresses(' / '.join(said[-2:]))[:300]}"
        raise UnavailableError(msg)


def _without_addresses(text: str) -> str:
    """Which registry answered is this machine's business, and stays out of reports."""
    return re.sub(r"https?://\S+", "the registry", text)


def from_pypi(place: Path, requirement: str) -> None:
    """Into a virtual environment of its own at `place`."""
    python = place / "bin/python"
    if not python.exists():
        run([sys.executable, "-m", "venv", str(place)], cwd=place.parent)
    run([str(python), "-m", "pip", "install", "--quiet", requirement], cwd=place)
