"""What every server must do with the live balances."""

import itertools
import secrets
from collections.abc import Sequence
from typing import Any
from unittest import mock

from spendra_sidecar.ledger.balances import OpenHold, Total
from spendra_sidecar.ledger.calls import (
    BalancesUnavailableError,
    Claimed,
    GenerationLost,
    Gone,
    Unseeded,
)
from spendra_sidecar.ledger.routed import Routed
from spendra_sidecar.ledger.words import (
    Claim,
    Exhausted,
    Frozen,
    Held,
    Limit,
    Limited,
    StalePolicy,
    WrongPeriod,
)
from tests.conformance.conftest import Store
from tests.ledger.conftest import account, reservation

A, B, C = account("a", 1000), account("b", 500), account("c", 10**9)
NEW = account("new", 100)


async def test_a_group_is_judged_one_by_one_in_order(store: Store) -> None:
    answers = await store.reserve(*(reservation(200, A, B) for _ in range(3)))
    assert answers == [Held((200, 200)), Held((400, 400)), Exhausted(B, 400, 400, 500)]


async def test_a_repeat_of_a_reservation_holds_once(store: Store) -> None:
    held = reservation(200, A)
    for _ in range(2):
        [answer] = await store.reserve(held)
        assert isinstance(answer, Held)
    assert await store.reserve(reservation(800, A)) == [Held((1000,))]


async def test_posting_moves_once_and_voiding_releases_once(store: Store) -> None:
    posted, voided = reservation(300, A), reservation(700, A)
    await store.reserve(posted, voided)
    for _ in range(2):
        await store.post(posted, 100)
        await store.balances.void(store.generation, voided)
    assert await store.reserve(reservation(901, A)) == [Exhausted(A, 100, 0, 1000)]
    assert await store.reserve(reservation(900, A)) == [Held((1000,))]


async def test_a_voided_reservation_cannot_come_back(store: Store) -> None:
    late = reservation(100, A)
    await store.balances.void(store.generation, late)
    assert await store.reserve(late) == [Gone()]
    assert await store.reserve(reservation(1000, A)) == [Held((1000,))]


async def test_a_hold_of_nothing_is_voided_like_any_other(store: Store) -> None:
    free = reservation(0, A)
    assert await store.reserve(free) == [Held((0,))]
    assert await store.balances.void(store.generation, free) is None
    assert await store.reserve(free) == [Gone()]


async def test_extending_is_all_or_none_and_once(store: Store) -> None:
    held = reservation(300, A, B)
    await store.reserve(held)
    for _ in range(2):
        extended = await store.balances.extend(store.generation, held, 1, 100)
        assert extended == Held((400, 400))
    short = await store.balances.extend(store.generation, held, 2, 101)
    assert short == Exhausted(B, 400, 400, 500)
    assert await store.balances.extend(store.generation, held, 3, 1) == Gone()
    await store.post(held, 50)
    assert await store.reserve(reservation(450, A, B)) == [Held((500, 500))]


async def test_accounts_are_opened_once(store: Store) -> None:
    assert await store.reserve(reservation(10, A, NEW)) == [Unseeded([NEW])]
    for settled in (40, 0):
        await store.balances.seed(store.generation, [Total(NEW.id, settled, settled)])
    assert await store.reserve(reservation(60, NEW)) == [Held((100,))]


async def test_a_hold_joins_an_account_that_is_opened_over_it(store: Store) -> None:
    held, ended = reservation(30, A), reservation(40, A)
    await store.reserve(held)
    joining = [held.id, ended.id]
    for _ in range(2):
        await store.balances.seed(store.generation, [Total(NEW.id, 70, 0, joining)])
    assert await store.reserve(reservation(31, NEW)) == [Exhausted(NEW, 70, 70, 100)]
    await store.post(held, 10)
    assert await store.reserve(reservation(50, NEW)) == [Held((100,))]


async def test_the_newer_limit_wins(store: Store) -> None:
    lowered = account("a", 100, version=2)
    assert await store.reserve(reservation(100, lowered)) == [Held((100,))]
    assert await store.reserve(reservation(1, A)) == [Exhausted(A, 100, 100, 100)]


async def test_what_a_generation_is_not_is_answered_by_nobody(store: Store) -> None:
    held, closed = reservation(300, A), store.generation
    await store.reserve(held)
    assert await store.balances.reserve("another", [held]) == [GenerationLost("another")]
    hold = OpenHold(held.id, 300, 1, 0, "", [A.id])
    await store.rebuild(Total(A.id, 350, 50), holds=[hold])
    await store.balances.forget(closed)
    assert await store.balances.reserve(closed, [reservation(1, A)]) == [GenerationLost(closed)]
    await store.post(held, 100)
    assert await store.reserve(reservation(850, A)) == [Held((1000,))]


async def test_a_rebuild_that_is_flushed_at_any_moment_is_whole_or_not_there(store: Store) -> None:
    held, execute = reservation(300, A), Routed.execute
    hold = OpenHold(held.id, 300, 1, 0, "", [A.id])
    sent: list[int] = []
    opened = []

    async def flushed(self: Routed, commands: Sequence[Any]) -> list[Any]:
        sent.append(len(commands))
        answers = await execute(self, [*commands[:at], ("FLUSHALL",), *commands[at:]])
        return answers[:at] + answers[at + 1 :]

    for at in itertools.count():
        if sent and at > sent[-1]:
            break
        with mock.patch.object(Routed, "execute", flushed):
            try:
                await store.rebuild(Total(A.id, 350, 50), Total(B.id, 0, 0), holds=[hold])
            except BalancesUnavailableError:
                continue
        lost = [GenerationLost(store.generation)]
        found = await store.reserve(reservation(1000, A))
        assert found in ([Exhausted(A, 350, 300, 1000)], lost)
        opened.append(found != lost)
    assert opened[0]
    assert not opened[-1]
    assert len(opened) < sent[-1]


async def test_freeze_and_policy_floor_come_with_a_rebuild(store: Store) -> None:
    await store.rebuild(Total(A.id, 0, 0), min_version=7, is_frozen=True)
    assert await store.reserve(reservation(1, A)) == [Frozen()]
    await store.rebuild(Total(A.id, 0, 0), min_version=7)
    assert await store.reserve(reservation(1, A, policy_version=6)) == [StalePolicy(7)]
    assert await store.reserve(reservation(1, A, policy_version=7)) == [Held((1,))]


async def test_a_window_that_is_over_is_told_the_time(store: Store) -> None:
    past = A._replace(start_s=0, end_s=1)
    [answer] = await store.reserve(reservation(1, past))
    assert isinstance(answer, WrongPeriod)
    assert abs(answer.server_ms - store.balances.clock.now_ms()) < 60_000


async def test_limits_are_counted_and_given_back(store: Store) -> None:
    limits = [Limit("max_concurrency", "p1", 1), Limit("tokens_per_minute", "p2", 100)]
    first = reservation(1, A, limits=limits, most_tokens=100)
    await store.reserve(first)
    [busy] = await store.reserve(reservation(1, A, limits=limits[:1]))
    [spent] = await store.reserve(reservation(1, A, limits=limits[1:], most_tokens=100))
    assert (busy, type(spent)) == (Limited(limits[0], 1000), Limited)
    await store.balances.void(store.generation, first)
    again = reservation(1, A, limits=limits, most_tokens=90)
    assert await store.reserve(again) == [Held((1,))]


async def test_an_idempotency_key_is_held_by_one(store: Store) -> None:
    claim = Claim(secrets.token_hex(8), "body")
    first, second = reservation(10, A, claim=claim), reservation(10, A, claim=claim)
    assert await store.reserve(first, second) == [Held((10,)), Claimed(first.id, "body")]
    second.replaces = first.id
    assert await store.reserve(second) == [Held((20,))]
    await store.balances.void(store.generation, second)
    assert await store.reserve(reservation(10, A, claim=claim)) == [Held((20,))]


async def test_amounts_stay_exact_beyond_what_doubles_hold(store: Store) -> None:
    most = 9_200_000_000_000_000_000
    wide = account("wide", most)
    await store.rebuild(Total(wide.id, most - 11, most - 11))
    assert await store.reserve(reservation(10, wide)) == [Held((most - 1,))]
    assert await store.reserve(reservation(2, wide)) == [Exhausted(wide, most - 1, 10, most)]
    assert await store.reserve(reservation(1, wide)) == [Held((most,))]
