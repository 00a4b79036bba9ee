"""Every official SDK through a running sidecar: only its base URL and its key are changed."""

import os

import pytest

from spendra.command.simulator.speech.text import spoken
from tests.system.conftest import System
from tests.system.sdks.driver import MAX_OUTPUT_TOKENS, Sdk
from tests.system.sdks.outcomes import COLUMNS, PAGE, Outcomes, page
from tests.system.sdks.project import Project, driver, is_raised, project, raised_name, reached
from tests.system.sdks.table import SDKS

TEXT = "".join(spoken(24, 0, "gpt-4o-mini"))
MATRIX = pytest.mark.parametrize("sdk", SDKS, ids=str)
OUTCOMES: Outcomes = {}


# --- what works ---------------------------------------------------------------------------


@MATRIX
def test_plain_is_settled_once_at_the_true_cost(system: System, sdk: Sdk) -> None:
    at = project(system)
    with driver(sdk, at) as asked:
        said = asked.plain()
    assert (said.text, said.output_tokens) == (TEXT, 24)
    item = at.one_item()
    assert (item["state"], item["usage_confidence"]) == ("posted", "reported")
    of_input, of_output = sdk.prices_nanousd
    assert item["cost_nanousd"] == said.input_tokens * of_input + 24 * of_output
    OUTCOMES[sdk.name, "plain"] = "yes"


@MATRIX
def test_a_stream_is_settled_once_at_the_true_cost(system: System, sdk: Sdk) -> None:
    at = project(system)
    with driver(sdk, at) as asked:
        assert "".join(asked.stream()) == TEXT
    item = at.one_item()
    assert (item["state"], item["usage_confidence"]) == ("posted", "reported")
    of_input, of_output = sdk.prices_nanousd
    usage = item["usage"]
    assert usage["output_tokens"] == 24
    assert item["cost_nanousd"] == usage["input_tokens"] * of_input + 24 * of_output
    OUTCOMES[sdk.name, "stream"] = "yes"


@MATRIX
def test_a_forced_tool_is_called(system: System, sdk: Sdk) -> None:
    at = project(system)
    with driver(sdk, at) as asked:
        assert asked.tool() == {"city": "water"}
    item = at.one_item()
    assert item["usage_confidence"] == "reported"
    assert item["cost_nanousd"] > 0
    OUTCOMES[sdk.name, "tool"] = "yes"


@pytest.mark.parametrize("sdk", [sdk for sdk in SDKS if sdk.embedding_model], ids=str)
def test_embeddings_are_settled(system: System, sdk: Sdk) -> None:
    at = project(system)
    with driver(sdk, at) as asked:
        assert asked.embed() == 2
    item = at.one_item()
    assert item["cost_nanousd"] > 0
    OUTCOMES[sdk.name, "embed"] = "yes"


@pytest.mark.parametrize("sdk", [sdk for sdk in SDKS if sdk.files], ids=str)
def test_files_pass_and_cost_nothing(system: System, sdk: Sdk) -> None:
    at, content = project(system), b"wet\nand dry\n"
    with driver(sdk, at) as asked:
        assert asked.file(content) == content
    assert at.settled() == 0
    OUTCOMES[sdk.name, "file"] = "yes"


# --- what is refused ----------------------------------------------------------------------


def refused(sdk: Sdk, at: Project, status: int, retries: int | None = None) -> None:
    before = reached(at.system)
    with driver(sdk, at, retries=retries) as asked:
        with pytest.raises(Exception) as error:  # noqa: PT011 (each row names its own)
            asked.plain()
        assert is_raised(error.value, sdk.raises[status]), repr(error.value)
    told = getattr(error.value, "status_code", None) or getattr(error.value, "code", None)
    assert told == status
    assert reached(at.system) == before
    OUTCOMES[sdk.name, str(status)] = f"`{raised_name(error.value)}`"


@MATRIX
def test_402_raises_the_sdks_own_exception_and_is_not_repeated(system: System, sdk: Sdk) -> None:
    at = project(system, limit_usd="0.000000001")
    decisions = refusals(at)
    refused(sdk, at, 402)
    assert refusals(at) == decisions + 1
    assert at.settled() == 0


def refusals(at: Project) -> int:
    """How many requests the sidecars have refused for want of budget."""
    series = 'spendra_refusals_total{reason="budget_exhausted",status="402"}'
    return int(at.system.metric(series))


@MATRIX
def test_403_raises_the_sdks_own_exception(system: System, sdk: Sdk) -> None:
    refused(sdk, project(system, models=["none-of-these"]), 403)


@MATRIX
def test_429_raises_the_sdks_own_exception(system: System, sdk: Sdk) -> None:
    at = project(system)
    rules = {"requests_per_minute": 1}
    policy = {"name": at.name, "scope": {"project": at.name}, "rules": rules}
    system.ask("POST", "/v1/policies", policy)
    with driver(sdk, at) as asked:
        asked.plain()
    refused(sdk, at, 429, retries=0)


# --- what breaks off ----------------------------------------------------------------------


@MATRIX
def test_a_caller_who_leaves_is_charged_for_what_was_delivered(system: System, sdk: Sdk) -> None:
    at = project(system)
    with driver(sdk, at, "tokens=100,chunk-ms=30") as asked:
        stream = asked.stream()
        for _ in range(3):
            next(stream)
        stream.close()
    item = at.one_item()
    assert item["state"] == "posted"
    assert item["usage_confidence"] in {"counted", "reported", "estimated"}
    assert 0 < item["usage"]["output_tokens"] < MAX_OUTPUT_TOKENS
    assert 0 < item["cost_nanousd"] < item["reserved_nanousd"]
    OUTCOMES[sdk.name, "hang_up"] = "yes"


@MATRIX
def test_a_stream_that_the_provider_breaks_off_raises(system: System, sdk: Sdk) -> None:
    at = project(system)
    with driver(sdk, at, "tokens=50,cut-after=8", retries=0) as asked:
        with pytest.raises(Exception) as error:  # noqa: PT011 (each row names its own)
            list(asked.stream())
        assert any(is_raised(error.value, kind) for kind in sdk.cut), repr(error.value)
    item = at.one_item()
    assert item["state"] == "posted"
    assert 0 < item["cost_nanousd"] <= item["reserved_nanousd"]
    OUTCOMES[sdk.name, "cut"] = f"`{raised_name(error.value)}`".replace("`nothing`", "nothing")


# --- and the page that says so ------------------------------------------------------------


def test_the_page_says_what_was_shown() -> None:
    expected = {(sdk.name, call) for sdk in SDKS for call in COLUMNS}
    expected -= {(sdk.name, "embed") for sdk in SDKS if not sdk.embedding_model}
    expected -= {(sdk.name, "file") for sdk in SDKS if not sdk.files}
    if set(OUTCOMES) != expected:
        pytest.skip("only a run of the whole matrix in one process, with node, shows the page")
    written = page(SDKS, OUTCOMES)
    if os.environ.get("SPENDRA_WRITE_DOCS"):
        PAGE.write_text(written)
    assert PAGE.read_text() == written, "docs/compatibility.md is stale: SPENDRA_WRITE_DOCS=1"
