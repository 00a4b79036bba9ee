"""The table of a reservation's life, held against the database, case by case."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from spendra.outcomes import Event, State, after, diagram
from spendra_sidecar.ledger.books import Books
from spendra_sidecar.ledger.journal import Row
from spendra_sidecar.ledger.words import Reservation
from tests.ledger.conftest import TIMEOUT_S, Desk, account, posted, reservation, voided

LEDGER = Path(__file__).parents[2] / "docs" / "ledger.md"
TO_REACH: Mapping[State, list[Event]] = {
    State.UNKNOWN: [],
    State.RESERVED: [Event.RESERVE],
    State.LOST: [Event.RESERVE, Event.LAPSE],
    State.POSTED: [Event.RESERVE, Event.POST],
    State.VOIDED: [Event.RESERVE, Event.VOID],
    State.GIVEN_UP: [Event.GIVE_UP],
}


STATE = """
WITH named AS (SELECT $1::text AS org_id, $2::uuid AS reservation_id)
SELECT coalesce(
    (SELECT state FROM spendra.reservations JOIN named USING (org_id, reservation_id)),
    (SELECT outcome FROM spendra.spend_events JOIN named USING (org_id, reservation_id)),
    (SELECT 'given_up' FROM spendra.tombstones JOIN named USING (org_id, reservation_id)),
    'unknown')
"""


def test_the_diagram_in_the_docs_is_that_of_the_table() -> None:
    assert f"```mermaid\n{diagram()}\n```" in LEDGER.read_text("utf-8")


class Life:
    """One reservation, and each event as the database's own functions do it."""

    def __init__(self, desk: Desk, books: Books, generation: str, held: Reservation) -> None:
        self.desk, self.books, self.generation, self.held = desk, books, generation, held

    async def meet(self, event: Event) -> None:
        steps: dict[Event, Callable[[], Awaitable[Any]]] = {
            Event.RESERVE: lambda: self.books.reserve(self.generation, [self.held]),
            Event.EXTEND: lambda: self.call("extend($1, $3, $2, 1::smallint, 5)", self.generation),
            Event.POST: lambda: self.books.settle([Row(self.held.id, posted(70))]),
            Event.VOID: lambda: self.books.settle([Row(self.held.id, voided())]),
            Event.GIVE_UP: lambda: self.call("give_up($1, $2, 'not_sent')"),
            Event.LAPSE: lambda: self.call("label_lost($1)", named=False),
            Event.RULE: lambda: self.call("post_lost($1, 0)", named=False),
            Event.RELEASE: lambda: self.by_hand("NULL"),
            Event.POST_BY_HAND: lambda: self.by_hand("3"),
            Event.ADJUST: self.adjust,
        }
        await steps[event]()

    async def call(self, function: str, *more: object, named: bool = True) -> None:
        values = (self.held.id, *more) if named else ()
        await self.desk.database.fetch(
            f"SELECT spendra.{function}",
            self.desk.org_id,
            *values,
        )

    async def by_hand(self, cost: str) -> None:
        await self.desk.age_lost()
        await self.call(f"end_lost($1, $2, {cost}, 'why', 'ann')")

    async def adjust(self) -> None:
        if await self.state() in {State.POSTED, State.VOIDED}:
            how = "adjust_event($1, $3, 'manual', $2, NULL, 1, 'why', 'ann')"
            await self.call(how, uuid4())

    async def state(self) -> State:
        found = await self.desk.database.fetchval(STATE, self.desk.org_id, self.held.id)
        return State(found)


@pytest.mark.parametrize("state", State)
async def test_every_event_leads_where_the_table_says(desk: Desk, state: State) -> None:
    await desk.sidecar().reserve(reservation(1, account("tight", 10_000)))
    generation = await desk.database.fetchval("SELECT spendra.current_generation($1)", desk.org_id)
    books = Books(desk.database_url, desk.org_id, "nobody", TIMEOUT_S)
    for event in Event:
        life = Life(desk, books, generation, reservation(100, account("tight", 10_000)))
        for step in TO_REACH[state]:
            await life.meet(step)
        assert await life.state() == state
        await life.meet(event)
        assert await life.state() == after(state, event), event
        await desk.database.execute(
            "UPDATE spendra.generations SET generation = $2 WHERE org_id = $1",
            desk.org_id,
            generation,
        )
    await books.close()


@pytest.mark.parametrize("ended", [State.POSTED, State.VOIDED])
@pytest.mark.parametrize("event", [event for event in Event if event is not Event.ADJUST])
async def test_an_outcome_is_final(ended: State, event: Event) -> None:
    assert after(ended, event) == ended
