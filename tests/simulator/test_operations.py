"""The simulated provider knows whatever the sidecar lets through."""

import re

import pytest

from spendra.command.simulator.protocols.operations import find
from spendra.providers import PROVIDERS

ASKED = sorted(
    {
        (operation.method, f"/{row.name}" + re.sub(r"\{\w+\}", "x1", operation.path))
        for row in PROVIDERS.values()
        for operation in row.operations
    }
)


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_every_operation_of_the_provider_table_has_an_answer(method: str, path: str) -> None:
    assert find(method, path) is not None
