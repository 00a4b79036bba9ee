"""`/v1/policies`."""

import json
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response

from spendra.snapshot import BudgetRecord
from spendra_control_plane.api.bodies.policies import (
    EditPolicy,
    Evaluation,
    NewPolicy,
    Replay,
    Rollback,
)
from spendra_control_plane.api.exact import ExactRoute
from spendra_control_plane.api.gates import may
from spendra_control_plane.api.paging import Paging
from spendra_control_plane.api.plane import IfMatch, InPlane, tagged
from spendra_control_plane.authoring import policies
from spendra_control_plane.authoring.selectors import read_selector
from spendra_control_plane.reporting import evaluation, replay
from spendra_control_plane.snapshots.moments import ms

router = APIRouter(prefix="/v1/policies", tags=["policies"], route_class=ExactRoute)

Reads = Annotated[str, may("policies:read")]
Writes = Annotated[str, may("policies:write")]


@router.post("", status_code=201)
async def create_policy(plane: InPlane, org_id: Writes, body: NewPolicy) -> dict[str, Any]:
    selector = read_selector(body.scope)
    return await policies.create(plane.publisher, org_id, body.name, selector, body.rules.rules())


@router.get("")
async def list_policies(
    plane: InPlane,
    org_id: Reads,
    asked: Paging,
    state: Literal["active", "closed"] | None = "active",
) -> dict[str, Any]:
    items = await policies.page(plane.pool, org_id, state, asked.after(), asked.fetch)
    return asked.page(items, "id")


@router.post("/evaluate")
async def evaluate_request(plane: InPlane, org_id: Reads, body: Evaluation) -> dict[str, Any]:
    """What would happen to a request now, and why; nothing is sent, held or booked."""
    draft = body.policy
    tried = None
    if draft is not None:
        rules, selector = draft.rules.rules(), read_selector(draft.scope)
        tried = evaluation.Tried(selector=selector, rules=rules, replaces=draft.replaces)
    question = evaluation.Question(
        key_id=body.key_id,
        scope=body.scope,
        environment=body.environment,
        provider=body.provider,
        path=body.path,
        body=json.dumps(body.body, default=float).encode(),
        facts=body.facts,
        tried=tried,
    )
    now_ms = time.time_ns() // 1_000_000
    return await evaluation.evaluate(plane.pool, org_id, plane.publisher.catalog, question, now_ms)


@router.post("/replay")
async def replay_policy(plane: InPlane, org_id: Reads, body: Replay) -> dict[str, Any]:
    """Whom a policy or budget that is not in force would have stopped, and what that had cost."""
    return await replay.replay(plane.pool, org_id, _proposed(body), body.start, body.end)


def _proposed(body: Replay) -> replay.Proposed:
    if body.policy is not None:
        selector = read_selector(body.policy.scope)
        return replay.Proposed(selector=selector, rules=body.policy.rules.rules())
    draft = body.budget
    assert draft is not None  # noqa: S101 - a body has one of the two
    selector = read_selector(draft.scope)
    budget = BudgetRecord(
        id="",
        name=draft.name,
        selector=selector,
        period=draft.period,
        timezone=draft.timezone,
        limit_nanousd=draft.limit_usd,
        kind=draft.kind,
        version=1,
        starts_at_ms=ms(draft.starts_at),
        ends_at_ms=ms(draft.ends_at),
    )
    return replay.Proposed(selector=selector, budget=budget)


@router.get("/{policy_id}")
async def get_policy(
    plane: InPlane, org_id: Reads, policy_id: str, response: Response
) -> dict[str, Any]:
    return tagged(response, await policies.get(plane.pool, org_id, policy_id))


@router.patch("/{policy_id}")
async def edit_policy(
    plane: InPlane,
    org_id: Writes,
    policy_id: str,
    body: EditPolicy,
    response: Response,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """`scope` and `rules` replace the old ones whole."""
    edits: dict[str, object] = {}
    if body.name is not None:
        edits["name"] = body.name
    if body.scope is not None:
        edits["selector"] = read_selector(body.scope)
    if body.rules is not None:
        edits["rules"] = body.rules.rules()
    view = await policies.edit(plane.publisher, org_id, policy_id, edits, if_match)
    return tagged(response, view)


@router.delete("/{policy_id}")
async def close_policy(
    plane: InPlane, org_id: Writes, policy_id: str, if_match: IfMatch = None
) -> dict[str, Any]:
    return await policies.close(plane.publisher, org_id, policy_id, if_match)


@router.get("/{policy_id}/versions")
async def list_versions(
    plane: InPlane, org_id: Reads, policy_id: str, asked: Paging
) -> dict[str, Any]:
    """Newest first: who made it, why, and what it changed."""
    items = await policies.versions(
        plane.pool, org_id, policy_id, asked.after_number(), asked.fetch
    )
    return asked.page(items, "version")


@router.post("/{policy_id}/rollback")
async def roll_back_policy(
    plane: InPlane,
    org_id: Writes,
    policy_id: str,
    body: Rollback,
    response: Response,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """An earlier version is in force again."""
    view = await policies.roll_back(plane.publisher, org_id, policy_id, body.version, if_match)
    return tagged(response, view)
