"""`/v1/prices`: prices of the customer's own, what something costs, and pricing the past again."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Response

from spendra._hot import Usage
from spendra_control_plane.api.bodies.prices import EndPrice, NewPrice, Quote, Rerating
from spendra_control_plane.api.exact import ExactRoute
from spendra_control_plane.api.gates import InCaller, may
from spendra_control_plane.api.paging import Paging, cursor_of, read_place
from spendra_control_plane.api.plane import IfMatch, InPlane, tagged
from spendra_control_plane.api.questions import Moment, read_moment
from spendra_control_plane.authoring import prices
from spendra_control_plane.record import rerating
from spendra_control_plane.snapshots.compile import own_prices
from spendra_control_plane.snapshots.moments import ms

router = APIRouter(prefix="/v1/prices", tags=["prices"], route_class=ExactRoute)

Reads = Annotated[str, may("prices:read")]
Writes = Annotated[str, may("prices:write")]
Books = Annotated[str, may("record:write")]


@router.post("", status_code=201)
async def create_price(plane: InPlane, org_id: Writes, body: NewPrice) -> dict[str, Any]:
    """It goes before the catalog, and before older ones that hold for the same request."""
    draft = prices.Draft(**{**body.model_dump(), "rates": body.said()})
    return await prices.create(plane.publisher, org_id, draft)


@router.get("")
async def list_prices(
    plane: InPlane, org_id: Reads, asked: Paging, at: Moment = None
) -> dict[str, Any]:
    """With `at`, those that hold at that moment."""
    moment = read_moment("at", at)
    items = await prices.page(plane.pool, org_id, moment, asked.after(), asked.fetch)
    return asked.page(items, "id")


@router.get("/{price_id}")
async def get_price(
    plane: InPlane, org_id: Reads, price_id: str, response: Response
) -> dict[str, Any]:
    return tagged(response, await prices.get(plane.pool, org_id, price_id))


@router.post("/{price_id}/end")
async def end_price(
    plane: InPlane,
    org_id: Writes,
    price_id: str,
    body: EndPrice,
    response: Response,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """What was booked by it stays booked."""
    view = await prices.end(plane.publisher, org_id, price_id, body.at, if_match)
    return tagged(response, view)


@router.post("/quote")
async def quote(plane: InPlane, org_id: Reads, body: Quote) -> dict[str, Any]:
    """What usage costs, and by which price."""
    book = await prices.book(plane.pool, org_id, plane.publisher.catalog)
    usage = Usage(**body.usage.model_dump())
    at_ms = ms(body.at or datetime.now(UTC)) or 0
    cost = book.cost(body.provider, body.model, usage, service_tier=body.service_tier, at_ms=at_ms)
    return prices.quoted(cost, body.provider, body.model)


@router.post("/rerate")
async def rerate(plane: InPlane, org_id: Books, caller: InCaller, body: Rerating) -> dict[str, Any]:
    """A thousand attempts at a time; go on with `next_cursor` until there is none."""
    wanted = rerating.Wanted(
        start=body.from_,
        end=body.to,
        provider=body.provider or "*",
        model=body.model or "*",
        reason=body.reason,
        dry_run=body.dry_run,
        after=read_place(body.cursor),
    )
    books = rerating.Books(plane.publisher.catalog, await own_prices(plane.pool, org_id))
    found = await rerating.rerate(plane.pool, org_id, books, wanted, caller.actor)
    return {**found, "next_cursor": cursor_of(found.pop("last"))}
