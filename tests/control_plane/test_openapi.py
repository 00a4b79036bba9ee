"""The API's document: complete, with examples, and true under generated requests."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from spendra_control_plane.api import bodies
from spendra_control_plane.api.examples import EXAMPLES
from spendra_control_plane.authoring.refusals import KINDS
from tests import answers
from tests.control_plane.running import ControlPlane, Organization, found_organization

ROOMS = [
    import_module(f"{bodies.__name__}.{found.name}") for found in iter_modules(bodies.__path__)
]
ENDLESS = "/sidecar/v1/snapshots"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
]


@pytest.fixture(scope="module")
def strained(control_plane: ControlPlane) -> Iterator[Organization]:
    """An organization of its own: generated requests change it, and freeze it."""
    made = found_organization(control_plane, "Generated")
    with made.api:
        yield made


@pytest.fixture(scope="module")
def api_schema(control_plane: ControlPlane) -> schemathesis.BaseSchema:
    schema = schemathesis.openapi.from_url(f"{control_plane.url}/openapi.json")
    return schema.exclude(path=ENDLESS)


def test_nothing_that_can_be_sent_is_answered_outside_the_document(
    api_schema: schemathesis.BaseSchema, strained: Organization, subtests: pytest.Subtests
) -> None:
    operations = [found.ok() for found in api_schema.get_all_operations()]
    assert len(operations) > 40
    for operation in operations:
        with subtests.test(operation.label):
            _send_what_is_generated(operation, strained)


def _send_what_is_generated(operation: schemathesis.APIOperation, org: Organization) -> None:
    @settings(
        max_examples=12,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(operation.as_strategy())
    def send(case: schemathesis.Case) -> None:
        headers = {"authorization": f"Bearer {org.admin_token}"}
        answer = case.call(base_url=org.url, headers=headers)
        is_json = "application/json" in answer.headers.get("content-type", [])
        if is_json and answer.status_code < 300:
            name = f"{operation.method.upper()} {operation.path}"
            answers.meet(name, answer.json(), shows=False)
            case.validate_response(answer, checks=CHECKS)
        else:
            case.validate_response(answer, checks=[*CHECKS, response_schema_conformance])

    send()


def test_each_body_has_an_example_that_it_takes(control_plane: ControlPlane) -> None:
    document = httpx.get(f"{control_plane.url}/openapi.json").json()
    asked = {
        content["schema"].get("$ref", "").rpartition("/")[2]
        for operations in document["paths"].values()
        for operation in operations.values()
        for content in operation.get("requestBody", {}).get("content", {}).values()
    } - {""}
    assert asked <= set(EXAMPLES)
    for name, example in EXAMPLES.items():
        body = next(getattr(room, name) for room in ROOMS if hasattr(room, name))
        body.model_validate(example)


def test_the_page_that_shows_it_needs_nothing_from_elsewhere(control_plane: ControlPlane) -> None:
    page = httpx.get(f"{control_plane.url}/docs")
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert (page.status_code, len(named)) == (200, 3)
    for path in named:
        assert path.startswith("/"), path
        assert httpx.get(f"{control_plane.url}{path}").status_code == 200
    assert "https://" not in page.text


def test_each_answer_has_a_schema_and_an_example(control_plane: ControlPlane) -> None:
    """That they are true is seen wherever a test is answered (`tests/answers.py`)."""
    document = httpx.get(f"{control_plane.url}/openapi.json").json()
    shown = {
        f"{method} {path}": response["content"]["application/json"]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for status, response in operation["responses"].items()
        if status.startswith("2") and "application/json" in response.get("content", {})
    }
    assert len(shown) > 130
    for name, answer in shown.items():
        assert "example" in answer, name
        assert answer["schema"].get("properties"), name


def test_each_problem_code_has_a_row_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
    for code, (status, _) in KINDS.items():
        assert f"| `{code}` | {status} |" in page
