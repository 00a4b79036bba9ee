"""Credentials that stay in files beside a sidecar."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.system.conftest import System, running
from tests.upstream import Upstream

ASKED: Any = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "Say hello."}],
    "max_tokens": 5,
}


@pytest.fixture(scope="module")
def secrets() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="spendra-secrets-") as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
def filed(provider: str, secrets: Path) -> Iterator[System]:
    with running(provider, env={"SPENDRA_SECRETS_DIR": str(secrets)}) as system:
        yield system


def test_a_file_is_read_and_its_change_counts_at_once(filed: System, secrets: Path) -> None:
    upstream = Upstream("authorization", "Bearer first")
    try:
        route = {"base_url": upstream.url, "kind": "openai", "credential_file": "openai-key"}
        filed.put_route("filed", route)
        client = openai.OpenAI(
            base_url=f"{filed.up['sidecar_url']}/v1/filed",
            api_key=filed.up["api_key"],
            max_retries=0,
        )
        filed.clients.append(client)
        with pytest.raises(openai.APIStatusError) as missing:
            client.chat.completions.create(**ASKED)
        assert missing.value.code == "credential_unavailable"
        assert upstream.asked == []
        (secrets / "openai-key").write_text("first\n")
        assert client.chat.completions.create(**ASKED).choices[0].message.content == "Hello."
        upstream.taken = "Bearer second"
        replacement = secrets / ".new"
        replacement.write_text("second")
        os.utime(replacement, (1, 1))
        replacement.rename(secrets / "openai-key")
        assert client.chat.completions.create(**ASKED).choices[0].message.content == "Hello."
        assert {came for _, came in upstream.asked} == {"Bearer first", "Bearer second"}
    finally:
        upstream.stop()
