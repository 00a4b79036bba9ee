"""Every official SDK takes the simulated provider for its own."""

import contextlib
import time
from collections.abc import Iterator

import httpx
import pytest

from spendra.command.simulator.speech.text import spoken
from tests.system.sdks.driver import Driver, Sdk, Target
from tests.system.sdks.table import SDKS
from tests.system.sdks.typescript_node import NodeError

TEXT = "".join(spoken(24, 0, "gpt-4o-mini"))
MATRIX = pytest.mark.parametrize("sdk", SDKS, ids=str)


@contextlib.contextmanager
def driver(sdk: Sdk, provider_url: str, words: str = "") -> Iterator[Driver]:
    if reason := sdk.missing():
        pytest.skip(reason)
    made = sdk.make(Target(f"{provider_url}{sdk.direct}", "sk-test", {"x-simulate": words}, 0))
    try:
        yield made
    finally:
        made.close()


def is_raised(error: Exception, expected: type[Exception] | str) -> bool:
    if isinstance(expected, str):
        return isinstance(error, NodeError) and expected in error.names
    return isinstance(error, expected)


@MATRIX
def test_plain(sdk: Sdk, provider_url: str) -> None:
    with driver(sdk, provider_url) as asked:
        said = asked.plain()
    assert said.text == TEXT
    assert (said.input_tokens > 3, said.output_tokens) == (True, 24)


@MATRIX
def test_a_stream_says_the_same(sdk: Sdk, provider_url: str) -> None:
    with driver(sdk, provider_url) as asked:
        assert "".join(asked.stream()) == TEXT


@MATRIX
def test_a_forced_tool_is_called(sdk: Sdk, provider_url: str) -> None:
    with driver(sdk, provider_url) as asked:
        assert asked.tool() == {"city": "water"}


@pytest.mark.parametrize("sdk", [sdk for sdk in SDKS if sdk.embedding_model], ids=str)
def test_embeddings(sdk: Sdk, provider_url: str) -> None:
    with driver(sdk, provider_url) as asked:
        assert asked.embed() == 2


@pytest.mark.parametrize("sdk", [sdk for sdk in SDKS if sdk.files], ids=str)
def test_files(sdk: Sdk, provider_url: str) -> None:
    with driver(sdk, provider_url) as asked:
        assert asked.file(b"wet\nand dry\n") == b"wet\nand dry\n"


@pytest.mark.parametrize("status", [403, 429])
@MATRIX
def test_an_error_raises_the_sdks_own_exception(sdk: Sdk, provider_url: str, status: int) -> None:
    with driver(sdk, provider_url, f"status={status}") as asked:
        with pytest.raises(Exception) as error:  # noqa: PT011 (each row names its own)
            asked.plain()
        assert is_raised(error.value, sdk.raises[status])
        assert str(status) in str(error.value) or "code" in str(error.value).lower()


@MATRIX
def test_an_error_inside_a_stream_raises(sdk: Sdk, provider_url: str) -> None:
    with driver(sdk, provider_url, "error-after=6") as asked:
        with pytest.raises(Exception) as error:  # noqa: PT011 (each row names its own)
            list(asked.stream())
        assert any(is_raised(error.value, kind) for kind in sdk.cut)


@MATRIX
def test_a_caller_who_leaves_is_seen(sdk: Sdk, provider_url: str) -> None:
    journal = f"{provider_url}/simulator/requests"
    httpx.delete(journal)
    with driver(sdk, provider_url, "tokens=100,chunk-ms=30") as asked:
        stream = asked.stream()
        for _ in range(3):
            next(stream)
        stream.close()
    give_up = time.monotonic() + 20
    while (outcomes := httpx.get(journal).json()["outcomes"]) != {"disconnected": 1}:
        assert time.monotonic() < give_up, outcomes
        time.sleep(0.02)
