"""OpenRouter's own record of a request: what it cost, also where the answer was cut.

Source: openrouter.ai/docs/api-reference/get-a-generation.
"""

import asyncio
from decimal import ROUND_UP, Decimal
from typing import Any, Final

import msgspec

from spendra._hot import Relay, Usage
from spendra_sidecar.ledger.words import Outcome
from spendra_sidecar.serving.outcomes import Attempt, conclude_stated
from spendra_sidecar.serving.own_requests import fetched
from spendra_sidecar.snapshots.routes import Route

_HEADER: Final = "x-generation-id"
_WAITS_S: Final = (0.5, 1.0, 2.0, 4.0)
"""The record is written a moment after the request ended."""
_FETCHED_WITHIN_S: Final = 10.0
_ANSWER_BYTES: Final = 1 << 20
_OK: Final = 200


def generation_of(attempt: Attempt) -> str:
    """The record's id, where there is one and the answer itself said no usage."""
    exchange = attempt.exchange
    if attempt.provider != "openrouter" or exchange is None or attempt.status != _OK:
        return ""
    if not (attempt.hung_up or attempt.error or attempt.stopped or attempt.ended_by):
        return ""
    if exchange.metered().usage is not None:
        return ""
    return dict(exchange.headers).get(_HEADER, "")


async def recorded(
    relay: Relay, route: Route, attempt: Attempt, generation: str, credential: tuple[str, str]
) -> Outcome | None:
    """None: the record did not appear."""
    for wait_s in _WAITS_S:
        await asyncio.sleep(wait_s)
        found = await _record(relay, route, generation, credential)
        if found is not None:
            return conclude_stated(attempt, _nanousd(found), _usage(found))
    return None


async def _record(
    relay: Relay, route: Route, generation: str, credential: tuple[str, str]
) -> dict[str, Any] | None:
    url = f"{route.origin}/api/v1/generation?id={generation}"
    try:
        async with (
            asyncio.timeout(_FETCHED_WITHIN_S),
            fetched(relay, url, [credential], _ANSWER_BYTES) as exchange,
        ):
            data = msgspec.json.decode(exchange.body or b"").get("data")
    except Exception:  # noqa: BLE001 - whatever went wrong, there is no record yet
        return None
    complete = isinstance(data, dict) and data.get("total_cost") is not None
    return data if complete and exchange.status == _OK else None


def _nanousd(record: dict[str, Any]) -> int:
    """With a key of the customer's own the spend is what the provider behind it charges."""
    cost = Decimal(str(record["total_cost"]))
    if record.get("is_byok"):
        cost += Decimal(str(record.get("upstream_inference_cost") or 0))
    return int((cost * 10**9).to_integral_value(ROUND_UP))


def _usage(record: dict[str, Any]) -> Usage:
    def count(name: str) -> int:
        value = record.get(f"native_tokens_{name}")
        return value if isinstance(value, int) and value > 0 else 0

    return Usage(
        input_tokens=count("prompt"),
        output_tokens=count("completion"),
        reasoning_tokens=count("reasoning"),
    )
