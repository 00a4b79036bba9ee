import asyncio
from collections.abc import Sequence

import pytest

from spendra_sidecar.ledger.lane import Lane


class Flush:
    """Answers each item with its double once `gate` is open; `groups` as they came."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.groups.append(list(items))
        await self.gate.wait()
        return [item * 2 for item in items]


async def test_a_lone_item_leaves_at_once() -> None:
    flush = Flush()
    assert await Lane(flush).submit(4) == 8
    assert flush.groups == [[4]]


async def test_what_arrives_while_a_group_is_under_way_goes_with_the_next() -> None:
    flush = Flush()
    flush.gate.clear()
    lane = Lane(flush)
    futures = [lane.submit(1)]
    await asyncio.sleep(0.01)
    futures += [lane.submit(2), lane.submit(3)]
    await asyncio.sleep(0.01)
    assert flush.groups == [[1]]
    flush.gate.set()
    assert await asyncio.gather(*futures) == [2, 4, 6]
    assert flush.groups == [[1], [2, 3]]


async def test_as_many_groups_are_under_way_as_the_lane_is_wide() -> None:
    flush = Flush()
    flush.gate.clear()
    lane = Lane(flush, width=2)
    futures = []
    for item in (1, 2, 3):
        futures.append(lane.submit(item))
        await asyncio.sleep(0.01)
    assert flush.groups == [[1], [2]]
    flush.gate.set()
    assert await asyncio.gather(*futures) == [2, 4, 6]


async def test_no_group_is_larger_than_the_most() -> None:
    flush = Flush()
    lane = Lane(flush, most=2)
    assert await asyncio.gather(*map(lane.submit, range(5))) == [0, 2, 4, 6, 8]
    assert [len(group) for group in flush.groups] == [2, 2, 1]


async def test_lingering_lets_others_join_and_idle_waits_for_all() -> None:
    flush = Flush()
    lane = Lane(flush, linger_s=0.02)
    first = lane.submit(1)
    await asyncio.sleep(0.005)
    second = lane.submit(2)
    await lane.idle()
    assert (first.result(), second.result()) == (2, 4)
    assert flush.groups == [[1, 2]]


async def test_a_failed_group_fails_each_of_its_items_and_no_other() -> None:
    async def flush(items: Sequence[int]) -> list[int]:
        if 1 in items:
            raise OSError
        return list(items)

    lane = Lane(flush)
    with pytest.raises(OSError):  # noqa: PT011 - the very error that flush raised
        await lane.submit(1)
    assert await lane.submit(2) == 2


async def test_a_waiter_who_gives_up_takes_nothing_from_the_others() -> None:
    flush = Flush()
    flush.gate.clear()
    lane = Lane(flush)
    first, second = lane.submit(1), lane.submit(2)
    await asyncio.sleep(0.01)
    first.cancel()
    flush.gate.set()
    assert await second == 4
