"""The official TypeScript SDKs, each call in a node process of its own (typescript/drive.mjs)."""

import json
import shutil
import subprocess
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.system.sdks.driver import SCHEMA, TOOL, Said, Sdk, Target

DIRECTORY = Path(__file__).parent / "typescript"


class NodeError(Exception):
    """What the SDK threw: `names` are its class and the classes above it."""

    def __init__(self, found: dict[str, Any]) -> None:
        super().__init__(found["message"])
        self.names: list[str] = found["error"]
        self.status_code: int | None = found.get("status")


class Node:
    def __init__(self, sdk: str, at: Target) -> None:
        self._command = {"sdk": sdk, **at._asdict()}

    def _run(self, call: str, **more: Any) -> Iterator[dict[str, Any]]:
        """The lines that it writes; ended early, the process is killed."""
        command = json.dumps({**self._command, "call": call, **more})
        with subprocess.Popen(
            ["node", "drive.mjs"],  # noqa: S607 (node, wherever it is)
            cwd=DIRECTORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(command)
            process.stdin.close()
            try:
                for line in process.stdout:
                    found = json.loads(line)
                    if "error" in found:
                        raise NodeError(found)
                    yield found
            finally:
                process.kill()

    def _result(self, call: str, **more: Any) -> Any:
        (line,) = self._run(call, **more)
        return line["result"]

    def plain(self) -> Said:
        found = self._result("plain")
        return Said(found["text"], found["input"], found["output"])

    def stream(self) -> Generator[str]:
        for line in self._run("stream"):
            if "text" in line:
                yield line["text"]

    def tool(self) -> dict[str, Any]:
        found: dict[str, Any] = self._result("tool", name=TOOL, schema=SCHEMA)
        return found

    def embed(self) -> int:
        return int(self._result("embed"))

    def file(self, content: bytes) -> bytes:
        return str(self._result("file", content=content.decode())).encode()

    def close(self) -> None:
        """Each call's process has ended."""


def missing() -> str:
    """Why it cannot be run here; installs the locked packages the first time."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "node and npm are not installed"
    if not (DIRECTORY / "node_modules" / ".package-lock.json").exists():
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=DIRECTORY, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return ""


RAISES: dict[int, type[Exception] | str] = {
    402: "APIError",
    403: "PermissionDeniedError",
    429: "RateLimitError",
}
ROWS = (
    Sdk(
        name="openai typescript",
        package="openai (npm)",
        protocol="OpenAI chat completions",
        make=partial(Node, "openai"),
        path="/v1",
        direct="/openai/v1",
        model="gpt-4o-mini",
        embedding_model="text-embedding-3-small",
        files=True,
        raises=RAISES,
        prices_nanousd=(150, 600),
        cut=("Error",),
        missing=missing,
    ),
    Sdk(
        name="anthropic typescript",
        package="@anthropic-ai/sdk (npm)",
        protocol="Anthropic Messages",
        make=partial(Node, "anthropic"),
        path="",
        direct="/anthropic",
        model="claude-haiku-4-5",
        raises=RAISES,
        prices_nanousd=(1000, 5000),
        cut=("Error",),
        missing=missing,
    ),
)
