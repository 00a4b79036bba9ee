"""Each role at each endpoint, from the one table; every endpoint has a gate; the docs print it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from spendra_control_plane.access.capabilities import CAPABILITIES, ROLES, SCOPED
from spendra_control_plane.api.app import ROOMS
from spendra_control_plane.api.gates import Gate, ScopedGate
from tests.answers import open_client
from tests.control_plane.running import ControlPlane, Organization, found_organization

WITHOUT_A_ROLE = {
    "/healthz",
    "/readyz",
    "/metrics",
    "/v1/me",
    "/v1/organizations",
    "/v1/organizations/{org_id}/admin-token",
    "/auth/{org_id}/login",
    "/auth/callback",
    "/auth/logout",
    "/sidecar/v1/enrolments",
    "/sidecar/v1/snapshots",
    "/sidecar/v1/acknowledgements",
}
ROUTES = [route for room in ROOMS for route in room.router.routes if isinstance(route, APIRoute)]
OF_OWNERS = {"/v1/organization/admin-tokens/revoke"}
"""Besides the capability, these ask for the role."""
NOWHERE = "01a20169-a41e-7b2d-b361-df63345e30d5"


def gates_of(dependant: Dependant) -> Iterator[Gate | ScopedGate]:
    if isinstance(dependant.call, Gate | ScopedGate):
        yield dependant.call
    for below in dependant.dependencies:
        yield from gates_of(below)


def gate_of(route: APIRoute) -> Gate | ScopedGate | None:
    return next(gates_of(route.dependant), None)


GATED = [(route, gate) for route in ROUTES if (gate := gate_of(route)) is not None]


def token_of(org: Organization, name: str, roles: list[str], manages: Any = None) -> str:
    body = {"name": name, "roles": roles, "manages": manages or {}}
    member = org.post("/v1/members", body)
    made = org.post(f"/v1/members/{member['id']}/tokens", {"name": "tests"})
    return str(made["token"])


def client(org: Organization, token: str) -> httpx.Client:
    return open_client(org.url, {"authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
def holders(control_plane: ControlPlane) -> Iterator[dict[str, httpx.Client]]:
    """One client for each role, in an organization of their own."""
    org = found_organization(control_plane, "Roles")
    manages = {"manager": {"team": ["payments"]}}
    tokens = {role: token_of(org, role, [role], manages.get(role)) for role in ROLES}
    clients = {role: client(org, token) for role, token in tokens.items()}
    yield clients
    for one in (*clients.values(), org.api):
        one.close()


def test_every_route_has_a_gate() -> None:
    assert {route.path for route in ROUTES if gate_of(route) is None} == WITHOUT_A_ROLE
    assert {gate.capability for _, gate in GATED} == set(CAPABILITIES)
    assert all(len(list(gates_of(route.dependant))) == 1 for route, _ in GATED)


@pytest.mark.parametrize(
    ("route", "gate"), GATED, ids=[f"{min(r.methods)} {r.path}" for r, _ in GATED]
)
def test_each_role_passes_where_the_table_says(
    route: APIRoute, gate: Gate | ScopedGate, holders: dict[str, httpx.Client]
) -> None:
    path = route.path_format
    for name in route.param_convertors:
        path = path.replace(f"{{{name}}}", NOWHERE if name.endswith("_id") else "nothing")
    for role, holder in holders.items():
        answer = holder.request(min(route.methods), path, json={})
        allowed = gate.capability in ROLES[role] and (gate.is_scoped or role not in SCOPED)
        if route.path in OF_OWNERS:
            allowed = role == "owner"
        assert (answer.status_code != 403) == allowed, (role, answer.text)
        assert answer.status_code not in {401, 500, 503}, (role, answer.text)


@pytest.mark.parametrize(
    ("role", "method", "path", "allowed"),
    [
        ("auditor", "GET", "/v1/ledger", True),
        ("auditor", "POST", "/v1/keys", False),
        ("finance", "POST", "/v1/budgets", True),
        ("finance", "POST", "/v1/keys", False),
        ("iam", "POST", "/v1/members", True),
        ("iam", "GET", "/v1/ledger", False),
        ("platform", "PUT", "/v1/providers/openai", True),
        ("platform", "POST", "/v1/members", False),
        ("manager", "GET", "/v1/policies", False),
        ("employee", "GET", "/v1/keys", True),
        ("employee", "POST", "/v1/organization/freeze", False),
    ],
)
def test_what_the_table_must_never_lose(
    role: str, method: str, path: str, *, allowed: bool, holders: dict[str, httpx.Client]
) -> None:
    assert (holders[role].request(method, path, json={}).status_code != 403) is allowed


def test_the_docs_print_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text("utf-8")
    heads = " | ".join(ROLES)
    assert f"| capability | opens | {heads} |" in page
    for capability, opens in CAPABILITIES.items():
        cells = " | ".join(_cell(role, capability) for role in ROLES)
        assert f"| `{capability}` | {opens} | {cells} |" in page


def _cell(role: str, capability: str) -> str:
    if capability not in ROLES[role]:
        return ""
    return "own" if role in SCOPED else "yes"
