import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from spendra.command import ports


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recorded answers in the shape of a corpus; one stream ends its lines in CR LF."""
    directory = tmp_path_factory.mktemp("corpus")
    (directory / "plain-1.body").write_bytes(b'{\n  "usage": {"input_tokens": 3}\n}\n')
    (directory / "stream-1.body").write_bytes(b"event: a\r\ndata: {}\r\n\r\ndata: 2\n\ndata: 3")
    (directory / "index.jsonl").write_text(
        '{"id": "plain-1", "status": 418, "streaming": false, "response_headers":'
        ' {"Content-Type": "application/json; x=y", "Request-Id": "r1", "Content-Length": "1"}}\n'
        '{"id": "stream-1", "status": 200, "streaming": true, "response_headers": {}}\n'
    )
    return directory


@pytest.fixture(scope="session")
def provider_url(corpus: Path) -> Iterator[str]:
    """A simulated provider of its own process; `<url>/v1` is an OpenAI base URL."""
    port = ports.choose({}, "simulator")
    words = ["simulate-provider", "--port", str(port), "--replay", str(corpus)]
    command = [sys.executable, "-m", "spendra.command", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("The simulated provider listens on")
        yield f"http://127.0.0.1:{port}"
        process.terminate()
    assert process.returncode == 0


@pytest.fixture
def http(provider_url: str) -> Iterator[httpx.Client]:
    """A client with a key, on a journal that starts empty."""
    headers = {"authorization": "Bearer sk-test"}
    with httpx.Client(base_url=provider_url, headers=headers, timeout=30) as client:
        client.delete("/simulator/requests")
        yield client
