"""The live balances in Redis: a narrow face over the scripts of `spendra.balances`.

Scripts are called by hash only. Nothing here reloads a script that the server does not know:
that answer is how a lost or foreign dataset is recognised.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from spendra.balances import SCRIPT_NAMES, frozen_key, min_version_key, record, script
from spendra_sidecar.ledger import calls
from spendra_sidecar.ledger.calls import (
    Answer,
    BalancesUnavailableError,
    Calls,
    GenerationLost,
    Post,
)
from spendra_sidecar.ledger.clock import StoreClock
from spendra_sidecar.ledger.resp import Command, ReplyError, RespError
from spendra_sidecar.ledger.routed import Routed
from spendra_sidecar.ledger.words import Reservation

_NAMES = 7
"""Of `spendra.balances.Keys`: whole keys; the rest are prefixes of many."""


class Total(NamedTuple):
    account_id: str
    taken_nanousd: int
    settled_nanousd: int
    joined: Sequence[UUID] = ()
    """Holds that count in it and do not know of it yet."""


class OpenHold(NamedTuple):
    reservation_id: UUID
    amount_nanousd: int
    reserved_ms: int
    extensions: int
    slots: str
    account_ids: list[str]


class Rebuild(NamedTuple):
    """Everything a fresh generation starts from, as Postgres knows it."""

    totals: list[Total]
    holds: list[OpenHold]
    min_version: int
    is_frozen: bool


class Balances:
    """One organization's balances. Every call names the generation it believes in."""

    def __init__(self, url: str, org_id: str, timeout_s: float) -> None:
        self._org_id = org_id
        self._resp = Routed(url, timeout_s, org_id)
        self.clock = StoreClock()

    async def reserve(self, generation: str, group: Sequence[Reservation]) -> list[Answer]:
        """One pipeline for the group; each reservation is judged on its own, in order."""
        make = Calls(self._org_id, generation)
        answers = await self._execute([make.reserve(reservation) for reservation in group])
        calls.set_clock(self.clock, answers)
        return [
            calls.verdict(answer, reservation, generation)
            for answer, reservation in zip(answers, group, strict=True)
        ]

    async def extend(
        self, generation: str, reservation: Reservation, number: int, additional_nanousd: int
    ) -> Answer:
        """Grow a hold, once by its number; Gone when it is not there."""
        command = Calls(self._org_id, generation).extend(reservation, number, additional_nanousd)
        [answer] = await self._execute([command])
        return calls.extended(answer, reservation, generation)

    async def post(self, generation: str, group: Sequence[Post]) -> list[GenerationLost | None]:
        """Move holds to settled at their cost; a hold that is gone stays gone."""
        make = Calls(self._org_id, generation)
        answers = await self._execute([make.post(post) for post in group])
        return [calls.lost(answer, generation) for answer in answers]

    async def void(self, generation: str, reservation: Reservation) -> GenerationLost | None:
        """Release a hold that never became durable, and bar a late arrival of it."""
        [answer] = await self._execute([Calls(self._org_id, generation).void(reservation)])
        return calls.lost(answer, generation)

    async def seed(self, generation: str, totals: Iterable[Total]) -> GenerationLost | None:
        """Open accounts that are not open yet."""
        fields: list[str | int] = []
        for total in totals:
            fields += (*total[:3], len(total.joined), *map(str, total.joined))
        [answer] = await self._execute([Calls(self._org_id, generation).seed(fields)])
        return calls.lost(answer, generation)

    async def rebuild(self, generation: str, state: Rebuild) -> None:
        """Write a fresh generation, scripts and all; it is opened last, if it is whole."""
        make = Calls(self._org_id, generation)
        names = make.names
        scripts = [("SCRIPT", "LOAD", script(name, generation).text) for name in SCRIPT_NAMES]
        # On every master: a slot that is moved takes its data along, but not the scripts.
        await self._resp.everywhere(scripts)
        commands: list[Command] = [*scripts, ("SET", names.generation, calls.BEING_WRITTEN)]
        for total in state.totals:
            commands.append(("HSET", names.taken, total.account_id, total.taken_nanousd))
            commands.append(("HSET", names.settled, total.account_id, total.settled_nanousd))
        commands.extend(
            ("HSET", names.records, str(hold.reservation_id), record(*hold[1:]))
            for hold in map(self._dated, state.holds)
        )
        running = Counter(policy for hold in state.holds for policy in hold.slots.split(","))
        commands.extend(("HSET", names.running, *each) for each in running.items() if each[0])
        commands.append(("SET", min_version_key(self._org_id), state.min_version))
        frozen = frozen_key(self._org_id)
        commands.append(("SET", frozen, 1) if state.is_frozen else ("DEL", frozen))
        commands.append(make.open())
        # Sent once: a copy that a dead connection delivers late would put old balances back.
        calls.check_open(await self._execute_once(commands))

    def _dated(self, hold: OpenHold) -> OpenHold:
        """None is from the future: a wrong clock would keep the worker from it for as long."""
        return hold._replace(reserved_ms=min(hold.reserved_ms, self.clock.now_ms()))

    async def hear_time(self) -> None:
        """Set the clock before the first hold."""
        [answer] = await self._execute([("TIME",)])
        if not isinstance(answer, ReplyError):
            self.clock.heard(int(answer[0]) * 1000 + int(answer[1]) // 1000)

    async def forget(self, generation: str) -> None:
        """Remove the data of a closed generation; idempotency keys and tombstones expire."""
        await self._execute([("UNLINK", *Calls(self._org_id, generation).names[:_NAMES])])

    async def close(self) -> None:
        self._resp.close()

    async def _execute(self, commands: Sequence[Command]) -> list[Any]:
        """One round trip. Once more on a dead connection: every command is idempotent."""
        try:
            return await self._resp.execute(commands)
        except RespError as error:
            if isinstance(error.__cause__, TimeoutError):
                raise BalancesUnavailableError(str(error)) from error
        return await self._execute_once(commands)

    async def _execute_once(self, commands: Sequence[Command]) -> list[Any]:
        try:
            return await self._resp.execute(commands)
        except RespError as error:
            raise BalancesUnavailableError(str(error)) from error
