"""The table of providers: every row can be asked, by every path that its SDKs write."""

import pytest

from spendra._hot import inspect
from spendra.providers import PROVIDERS, Operation, Provider, find

_SMALLEST = b'{"model": "m"}'
OPERATIONS = [
    pytest.param(name, operation, id=f"{name} {operation.method} {operation.path}")
    for name, provider in PROVIDERS.items()
    for operation in provider.operations
]


def kind_of(name: str) -> str:
    return name


@pytest.mark.parametrize(("name", "operation"), OPERATIONS)
def test_each_operation_is_found_under_its_providers_path(name: str, operation: Operation) -> None:
    path = f"/v1/{name}{operation.path.replace('{', '').replace('}', '')}"
    found = find(operation.method, path, speaks_anthropic=False, kind_of=kind_of)
    assert found is not None
    assert found.operation.name == operation.name


@pytest.mark.parametrize(("name", "operation"), OPERATIONS)
def test_what_is_metered_is_read_in_a_dialect_that_exists(name: str, operation: Operation) -> None:
    assert (operation.treatment == "metered") == bool(operation.body), name
    if operation.body:
        inspect(_SMALLEST, operation.body)


@pytest.mark.parametrize("provider", set(PROVIDERS.values()), ids=lambda provider: provider.name)
def test_a_path_may_leave_out_what_sdks_leave_out(provider: Provider) -> None:
    for base in provider.bases:
        for operation in provider.operations:
            if operation.path.startswith(f"{base}/") and "{" not in operation.path:
                short = f"/v1/{provider.name}{operation.path.removeprefix(base)}"
                found = find(operation.method, short, speaks_anthropic=False, kind_of=kind_of)
                assert found is not None, short


@pytest.mark.parametrize(
    "path",
    ["/v1/vector_stores", "/v1/openai/fine_tuning/jobs", "/v1/", "/v1/google/v1beta/models/a/b:c"],
)
def test_what_is_not_in_the_table_is_not_found(path: str) -> None:
    assert find("POST", path, speaks_anthropic=False, kind_of=kind_of) is None
