"""Calls of the balance scripts, and their answers read: no I/O. Shapes: the scripts' headers."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from spendra.balances import (
    CLAIM_SECONDS,
    TOMBSTONE_SECONDS,
    Keys,
    frozen_key,
    keys,
    min_version_key,
    script,
)
from spendra.periods import FOREVER_S
from spendra_sidecar.ledger.clock import StoreClock
from spendra_sidecar.ledger.resp import Command, ReplyError
from spendra_sidecar.ledger.words import (
    Account,
    Exhausted,
    Frozen,
    Held,
    Limited,
    Reservation,
    StalePolicy,
    Verdict,
    WrongPeriod,
)

BEING_WRITTEN = "being written"
"""A generation's key until its data is whole: no script takes it for the generation."""


class BalancesUnavailableError(Exception):
    """Redis did not answer, or refused; whether it acted is not known."""


class GenerationLost(NamedTuple):
    """The data of this generation is not there (any more)."""

    generation: str


class Unseeded(NamedTuple):
    """Accounts that have no balance yet."""

    accounts: list[Account]


class Claimed(NamedTuple):
    """A decision that has the idempotency key, and the digest of its body."""

    decision_id: UUID
    body_digest: str


class Gone(NamedTuple):
    """There is no such hold to extend, or it was given up."""


class Post(NamedTuple):
    reservation_id: UUID
    cost_nanousd: int
    tokens: int | None
    """Used; None where that is not known, and the most it could be counts."""


Answer = Verdict | Unseeded | GenerationLost | Claimed | Gone


class Calls:
    """Commands for one organization under one generation."""

    def __init__(self, org_id: str, generation: str) -> None:
        self._org_id = org_id
        self._generation = generation
        self.names: Keys = keys(org_id, generation)

    def reserve(self, reservation: Reservation) -> Command:
        names, accounts, claim = self.names, reservation.accounts, reservation.claim
        reservation_id = str(reservation.id)
        named = [
            names.generation, min_version_key(self._org_id), frozen_key(self._org_id),
            names.tombstone_prefix + reservation_id, names.records, names.taken, names.settled,
            names.limits, names.rates, names.running,
        ]  # fmt: skip
        values: list[str | int] = [
            reservation_id, reservation.amount_nanousd, reservation.policy_version,
            max((account.start_s for account in accounts), default=0),
            min((account.end_s for account in accounts), default=FOREVER_S),
            reservation.most_tokens, len(accounts), len(reservation.limits),
        ]  # fmt: skip
        values += _limits_of(accounts)
        for limit in reservation.limits:
            values += limit
        if claim is not None:
            named.append(names.claim_prefix + claim.key_digest)
            replaced = str(reservation.replaces or "")
            values += (str(reservation.decision_id), claim.body_digest, replaced, CLAIM_SECONDS)
        return self._call("reserve", named, values)

    def extend(self, reservation: Reservation, number: int, additional_nanousd: int) -> Command:
        names = self.names
        named = [
            names.generation, frozen_key(self._org_id), names.records, names.taken, names.settled,
            names.limits,
        ]  # fmt: skip
        values: list[str | int] = [str(reservation.id), number, additional_nanousd]
        return self._call("extend", named, values + _limits_of(reservation.accounts))

    def post(self, post: Post) -> Command:
        names = self.names
        named = [
            names.generation, names.records, names.taken, names.settled, names.rates, names.running,
        ]  # fmt: skip
        tokens = "" if post.tokens is None else post.tokens
        return self._call("post", named, [str(post.reservation_id), post.cost_nanousd, tokens])

    def void(self, reservation: Reservation) -> Command:
        names, claim = self.names, reservation.claim
        tombstone = names.tombstone_prefix + str(reservation.id)
        named = [
            names.generation, names.records, names.taken, tombstone, names.rates, names.running,
        ]  # fmt: skip
        values: list[str | int] = [str(reservation.id), TOMBSTONE_SECONDS]
        if claim is not None:
            named.append(names.claim_prefix + claim.key_digest)
            values.append(str(reservation.decision_id))
        return self._call("void", named, values)

    def seed(self, fields: list[str | int]) -> Command:
        names = self.names
        named = [names.generation, names.taken, names.settled, names.records]
        return self._call("seed", named, fields)

    def open(self) -> Command:
        return self._call("open", [self.names.generation], [BEING_WRITTEN])

    def _call(self, name: str, named: list[str], values: list[str | int]) -> Command:
        return ("EVALSHA", script(name, self._generation).sha1, len(named), *named, *values)


def _limits_of(accounts: tuple[Account, ...]) -> list[str | int]:
    limits: list[str | int] = []
    for account in accounts:
        limits += (account.id, account.versioned_limit)
    return limits


def lost(answer: object, generation: str) -> GenerationLost | None:
    """Raises BalancesUnavailableError for any other error of the server's."""
    if isinstance(answer, ReplyError):
        if str(answer).startswith("NOSCRIPT"):
            return GenerationLost(generation)
        raise BalancesUnavailableError(str(answer)) from answer
    status = answer[0] if isinstance(answer, list) else answer
    return GenerationLost(generation) if status == b"STALE_GENERATION" else None


def check_open(answers: Sequence[Any]) -> None:
    """Of a rebuild. Raises BalancesUnavailableError unless it is whole."""
    for answer in answers:
        if isinstance(answer, ReplyError):
            raise BalancesUnavailableError(str(answer)) from answer
    if answers[-1] != [b"OPEN"]:
        msg = "the server was flushed while the balances were written"
        raise BalancesUnavailableError(msg)


def extended(answer: Any, reservation: Reservation, generation: str) -> Answer:
    """Of the extend script."""
    if isinstance(answer, list) and answer[0] == b"HELD":
        return Held(tuple(int(taken) for taken in answer[1:]))
    return verdict(answer, reservation, generation)


def set_clock(clock: StoreClock, answers: Sequence[Any]) -> None:
    """By what the reserve script says of the time: the newest is last."""
    said = {answer[0]: answer[1] for answer in answers if isinstance(answer, list) and answer[1:]}
    if b"PERIOD" in said:
        clock.contradicted(int(said[b"PERIOD"]))
    elif b"HELD" in said:
        clock.heard(int(said[b"HELD"]))


def verdict(answer: Any, reservation: Reservation, generation: str) -> Answer:
    """Of the reserve script. Raises BalancesUnavailableError."""
    gone = lost(answer, generation)
    if gone is not None:
        return gone
    read = _READERS.get(answer[0])
    if read is None:
        msg = f"a script answered {answer!r}"
        raise BalancesUnavailableError(msg)
    return read(answer[1:], reservation)


def _held(rest: list[bytes], reservation: Reservation) -> Answer:
    return Held(tuple(int(taken) + reservation.amount_nanousd for taken in rest[1:]))


def _exhausted(rest: list[bytes], reservation: Reservation) -> Answer:
    position, taken, settled, limit = (int(value) for value in rest)
    return Exhausted(reservation.accounts[position - 1], taken, taken - settled, limit)


def _claimed(rest: list[bytes], _: Reservation) -> Answer:
    decision_id, body_digest = rest[0].decode().split(":")
    return Claimed(UUID(decision_id), body_digest)


_READERS: dict[bytes, Callable[[list[bytes], Reservation], Answer]] = {
    b"HELD": _held,
    b"EXHAUSTED": _exhausted,
    b"CLAIMED": _claimed,
    b"LIMITED": lambda rest, r: Limited(r.limits[int(rest[0]) - 1], int(rest[1])),
    b"UNSEEDED": lambda rest, r: Unseeded([r.accounts[int(at) - 1] for at in rest]),
    b"STALE_POLICY": lambda rest, _: StalePolicy(int(rest[0])),
    b"PERIOD": lambda rest, _: WrongPeriod(int(rest[0])),
    b"FROZEN": lambda _, __: Frozen(),
    b"GIVEN_UP": lambda _, __: Gone(),
    b"NONE": lambda _, __: Gone(),
}
