"""What a person may ask of the ledger in a query string."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query

from spendra.snapshot import Selector
from spendra_control_plane.api.paging import DEFAULT_LIMIT, Limit, Paging
from spendra_control_plane.authoring.refusals import refuse_invalid
from spendra_control_plane.authoring.selectors import read_selector
from spendra_control_plane.reporting import rollups
from spendra_control_plane.reporting.ledger import Part, Question

Moment = Annotated[str | None, Query(description="ISO 8601; UTC unless it says otherwise")]
BY = "a dimension such as `project`, `model`, `label:feature`; `cost_center`, `hour` or `day`"
ScopeText = Annotated[str, Query(description="`project=checkout,label:feature=search`")]


def _part(
    start: Annotated[Moment, Query(alias="from")] = None,
    end: Annotated[Moment, Query(alias="to")] = None,
    scope: ScopeText = "",
) -> Part:
    return Part(
        start=read_moment("from", start), end=read_moment("to", end), scope=read_scope(scope)
    )


AsksPart = Annotated[Part, Depends(_part)]


def _question(asked: Paging, part: AsksPart, decision_id: UUID | None = None) -> Question:
    return Question(
        start=part.start,
        end=part.end,
        scope=part.scope,
        decision_id=decision_id,
        before=asked.place(),
    )


Asks = Annotated[Question, Depends(_question)]


def _spend_question(
    start: Annotated[Moment, Query(alias="from")] = None,
    end: Annotated[Moment, Query(alias="to")] = None,
    scope: ScopeText = "",
    by: Annotated[str, Query(max_length=200, description=BY)] = "",
    limit: Limit = DEFAULT_LIMIT,
) -> rollups.Question:
    """Without times: from the beginning of this month (UTC) to the end of this hour."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    question = rollups.Question(
        start=read_moment("from", start) or now.replace(day=1, hour=0),
        end=read_moment("to", end) or now + timedelta(hours=1),
        scope=read_scope(scope),
        by=by,
        most=limit,
    )
    rollups.check(question)
    return question


AsksSpend = Annotated[rollups.Question, Depends(_spend_question)]


def read_scope(text: str) -> Selector:
    """From `dimension=value` pairs by comma, or from a JSON object. Raises Refusal."""
    try:
        written = json.loads(text) if text.startswith("{") else _pairs(text)
        return read_selector(written)
    except (ValueError, TypeError, AttributeError) as error:
        detail = f"The scope cannot be read ({error}); write it like 'project=checkout'."
        refuse_invalid(detail)


def _pairs(text: str) -> dict[str, str | list[str]]:
    found: dict[str, Any] = {}
    for pair in filter(None, text.split(",")):
        dimension, _, value = pair.partition("=")
        found.setdefault(dimension.strip(), []).append(value.strip())
    return found


def read_moment(name: str, text: str | None) -> datetime | None:
    """Of a query; UTC unless it says otherwise. Raises Refusal, which names the parameter."""
    if not text:
        return None
    try:
        # A plus sign that was not percent-encoded arrives as a space.
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        detail = f"'{name}' is not a moment; write it like 2026-12-01T00:00:00Z."
        refuse_invalid(detail)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
