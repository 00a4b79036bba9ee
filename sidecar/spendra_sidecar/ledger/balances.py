"""The live balances in Redis: a narrow face over the scripts of `spendra.balances`.

Scripts are called by hash only. Nothing here reloads a script that the server does not know:
that answer is how a lost or foreign dataset is recognised.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from spendra.balances import (
    SCRIPT_NAMES,
    TOMBSTONE_SECONDS,
    Keys,
    frozen_key,
    keys,
    min_version_key,
    script,
)
from spendra.periods import FOREVER_S
from spendra_sidecar.ledger.resp import Command, ReplyError, Resp, RespError
from spendra_sidecar.ledger.words import (
    Account,
    Exhausted,
    Frozen,
    Held,
    RateLimited,
    Reservation,
    StalePolicy,
    Verdict,
    WrongPeriod,
)


class BalancesUnavailableError(Exception):
    """Redis did not answer, or refused; whether it acted is not known."""


class GenerationLost(NamedTuple):
    """The data of this generation is not there (any more)."""

    generation: str


class Unseeded(NamedTuple):
    """Accounts that have no balance yet."""

    accounts: list[Account]


class Total(NamedTuple):
    account_id: str
    taken_nanousd: int
    settled_nanousd: int


class OpenHold(NamedTuple):
    reservation_id: UUID
    amount_nanousd: int
    reserved_ms: int
    account_ids: list[str]


class Rebuild(NamedTuple):
    """Everything a fresh generation starts from, as Postgres knows it."""

    totals: list[Total]
    holds: list[OpenHold]
    min_version: int


class Post(NamedTuple):
    reservation_id: UUID
    cost_nanousd: int


class Balances:
    """One organization's balances. Every call names the generation it believes in."""

    def __init__(self, url: str, org_id: str, timeout_s: float) -> None:
        self._org_id = org_id
        self._resp = Resp(url, timeout_s)

    async def reserve(
        self, generation: str, group: Sequence[Reservation]
    ) -> list[Verdict | Unseeded | GenerationLost]:
        """One pipeline for the group; each reservation is judged on its own, in order."""
        names = keys(self._org_id, generation)
        sha = script("reserve", generation).sha1
        commands = [self._reserve_command(sha, names, reservation) for reservation in group]
        answers = await self._execute(commands)
        return [
            _verdict(answer, reservation, generation)
            for answer, reservation in zip(answers, group, strict=True)
        ]

    async def post(self, generation: str, group: Sequence[Post]) -> list[GenerationLost | None]:
        """Move holds to settled at their cost; a hold that is gone stays gone."""
        names = keys(self._org_id, generation)
        sha = script("post", generation).sha1
        moved = (names.generation, names.records, names.taken, names.settled)
        commands = [
            ("EVALSHA", sha, 4, *moved, str(post.reservation_id), post.cost_nanousd)
            for post in group
        ]
        answers = await self._execute(commands)
        return [_lost(answer, generation) for answer in answers]

    async def void(self, generation: str, reservation_id: UUID) -> GenerationLost | None:
        """Release a hold that never became durable, and bar a late arrival of it."""
        names = keys(self._org_id, generation)
        tombstone = names.tombstone_prefix + str(reservation_id)
        named = (names.generation, names.records, names.taken, tombstone)
        arguments = (str(reservation_id), TOMBSTONE_SECONDS)
        sha = script("void", generation).sha1
        [answer] = await self._execute([("EVALSHA", sha, 4, *named, *arguments)])
        return _lost(answer, generation)

    async def seed(self, generation: str, totals: Iterable[Total]) -> GenerationLost | None:
        """Open accounts that are not open yet."""
        names = keys(self._org_id, generation)
        sha = script("seed", generation).sha1
        fields = [value for total in totals for value in total]
        command = ("EVALSHA", sha, 3, names.generation, names.taken, names.settled, *fields)
        [answer] = await self._execute([command])
        return _lost(answer, generation)

    async def rebuild(self, generation: str, state: Rebuild) -> None:
        """Write a fresh generation, scripts and all; the generation key comes last."""
        names = keys(self._org_id, generation)
        commands: list[Command] = []
        for total in state.totals:
            commands.append(("HSET", names.taken, total.account_id, total.taken_nanousd))
            commands.append(("HSET", names.settled, total.account_id, total.settled_nanousd))
        for hold in state.holds:
            record = f"{hold.amount_nanousd}:{hold.reserved_ms}:{','.join(hold.account_ids)}"
            commands.append(("HSET", names.records, str(hold.reservation_id), record))
        commands.append(("SET", min_version_key(self._org_id), state.min_version))
        commands.extend(("SCRIPT", "LOAD", script(name, generation).text) for name in SCRIPT_NAMES)
        commands.append(("SET", names.generation, generation))
        for answer in await self._execute(commands):
            if isinstance(answer, ReplyError):
                raise BalancesUnavailableError(str(answer)) from answer

    async def close(self) -> None:
        self._resp.close()

    def _reserve_command(self, sha: str, names: Keys, reservation: Reservation) -> Command:
        accounts = reservation.accounts
        arguments: list[str | int] = []
        for account in accounts:
            arguments += (account.id, account.versioned_limit)
        for limit in reservation.rate_limits:
            arguments += limit
        reservation_id = str(reservation.id)
        return (
            "EVALSHA",
            sha,
            9,
            names.generation,
            min_version_key(self._org_id),
            frozen_key(self._org_id),
            names.tombstone_prefix + reservation_id,
            names.records,
            names.taken,
            names.settled,
            names.limits,
            names.rates,
            reservation_id,
            reservation.amount_nanousd,
            reservation.policy_version,
            max((account.start_s for account in accounts), default=0),
            min((account.end_s for account in accounts), default=FOREVER_S),
            len(accounts),
            *arguments,
        )

    async def _execute(self, commands: Sequence[Command]) -> list[Any]:
        """One round trip. Once more on a dead connection: every command is idempotent."""
        try:
            return await self._resp.execute(commands)
        except RespError as error:
            if isinstance(error.__cause__, TimeoutError):
                raise BalancesUnavailableError(str(error)) from error
        try:
            return await self._resp.execute(commands)
        except RespError as error:
            raise BalancesUnavailableError(str(error)) from error


def _lost(answer: object, generation: str) -> GenerationLost | None:
    if isinstance(answer, ReplyError):
        if str(answer).startswith("NOSCRIPT"):
            return GenerationLost(generation)
        raise BalancesUnavailableError(str(answer)) from answer
    status = answer[0] if isinstance(answer, list) else answer
    return GenerationLost(generation) if status == b"STALE_GENERATION" else None


def _verdict(  # noqa: PLR0911 - one return for each answer of the reserve script
    answer: Any, reservation: Reservation, generation: str
) -> Verdict | Unseeded | GenerationLost:
    lost = _lost(answer, generation)
    if lost is not None:
        return lost
    status, rest = answer[0], answer[1:]
    if status == b"HELD":
        return Held(tuple(int(taken) + reservation.amount_nanousd for taken in rest))
    if status == b"EXHAUSTED":
        position, taken, settled, limit = (int(value) for value in rest)
        return Exhausted(reservation.accounts[position - 1], taken, taken - settled, limit)
    if status == b"RATE":
        policy_id, per_minute = reservation.rate_limits[int(rest[0]) - 1]
        return RateLimited(policy_id, per_minute, int(rest[1]))
    if status == b"UNSEEDED":
        return Unseeded([reservation.accounts[int(position) - 1] for position in rest])
    if status == b"STALE_POLICY":
        return StalePolicy(int(rest[0]))
    if status == b"PERIOD":
        return WrongPeriod(int(rest[0]))
    if status == b"FROZEN":
        return Frozen()
    msg = f"the reserve script answered {answer!r}"
    raise BalancesUnavailableError(msg)
