"""The scripts against a plain model: any sequence of calls, each answer and every balance."""

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import redis as blocking
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from spendra.balances import frozen_key, keys, script
from spendra.redis_urls import nodes
from spendra_sidecar.ledger.balances import Balances, OpenHold, Rebuild, Total
from spendra_sidecar.ledger.calls import Claimed, Gone, Post, Unseeded
from spendra_sidecar.ledger.words import (
    Account,
    Claim,
    Exhausted,
    Frozen,
    Held,
    Limit,
    Limited,
    Reservation,
)
from tests.conformance.conftest import TIMEOUT_S
from tests.ledger.conftest import account, reservation

LIMITS = {"a": 100, "b": 60, "soft": None, "late": 80}
ACCOUNTS = {
    name: account(name, limit or 0, kind="hard" if limit is not None else "soft")
    for name, limit in LIMITS.items()
}
AMOUNTS = st.integers(0, 70)
CHOSEN = st.sets(st.sampled_from(sorted(LIMITS)), max_size=3).map(sorted)
SLOT = Limit("max_concurrency", "pol_two", 2)
CLAIMS = st.sampled_from([None, "k1", "k2"])


@dataclass
class Hold:
    amount: int
    accounts: list[str]
    slot: bool
    extensions: int = 0


@dataclass
class Model:
    """What the scripts promise, in a page of Python."""

    taken: dict[str, int] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)
    holds: dict[Any, Hold] = field(default_factory=dict)
    given_up: set[Any] = field(default_factory=set)
    claims: dict[str, Any] = field(default_factory=dict)
    running: int = 0
    frozen: bool = False

    def short(self, names: list[str], amount: int) -> Exhausted | None:
        for name in names:
            limit, taken = LIMITS[name], self.taken[name]
            if limit is not None and taken + amount > limit:
                held = taken - self.settled[name]
                return Exhausted(ACCOUNTS[name], taken, held, limit)
        return None

    def add(self, names: list[str], amount: int) -> Held:
        for name in names:
            self.taken[name] += amount
        return Held(tuple(self.taken[name] for name in names))

    def reserve(  # noqa: PLR0911 - one return for each answer
        self, wanted: Reservation, names: list[str]
    ) -> object:
        claim = wanted.claim.key_digest if wanted.claim else None
        if self.frozen:
            return Frozen()
        if wanted.id in self.given_up:
            return Gone()
        if claim and self.claims.get(claim, wanted.id) not in (wanted.id, wanted.replaces):
            return Claimed(self.claims[claim], "body")
        unseeded = [ACCOUNTS[name] for name in names if name not in self.taken]
        if unseeded:
            return Unseeded(unseeded)
        if wanted.id in self.holds:
            return Held(tuple(self.taken[name] + wanted.amount_nanousd for name in names))
        short = self.short(names, wanted.amount_nanousd)
        if short:
            return short
        if wanted.limits and self.running >= SLOT.most:
            return Limited(SLOT, 1000)
        self.running += bool(wanted.limits)
        self.holds[wanted.id] = Hold(wanted.amount_nanousd, names, bool(wanted.limits))
        if claim:
            self.claims[claim] = wanted.id
        return self.add(names, wanted.amount_nanousd)

    def extend(self, wanted: Reservation, number: int, more: int) -> object:
        hold = self.holds.get(wanted.id)
        if self.frozen:
            return Frozen()
        if hold is None or number > hold.extensions + 1:
            return Gone()
        if number <= hold.extensions:
            return self.add(hold.accounts, 0)
        short = self.short(hold.accounts, more)
        if short:
            return short
        hold.amount, hold.extensions = hold.amount + more, number
        return self.add(hold.accounts, more)

    def end(self, id_: Any, cost: int) -> None:
        hold = self.holds.pop(id_, None)
        if hold is not None:
            self.add(hold.accounts, cost - hold.amount)
            self.running -= hold.slot
            for name in hold.accounts:
                self.settled[name] += cost


class Scripts(RuleBasedStateMachine):
    """`url` is set by the test. Each machine has an organization and a connection of its own."""

    url = ""
    wanted = Bundle("wanted")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.org_id = f"org_{secrets.token_hex(6)}"
        self.model = Model()
        self.names: dict[Any, list[str]] = {}
        self.balances = self.do(self.open())
        hosts = nodes(self.url)
        kind = blocking.RedisCluster if len(hosts) > 1 else blocking.Redis
        self.client = cast("blocking.Redis", kind.from_url(hosts[0]))
        self.rebuild_with(["a", "b", "soft"])

    async def open(self) -> Balances:
        return Balances(self.url, self.org_id, TIMEOUT_S)

    def do(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.do(self.balances.close())
        self.client.close()
        self.loop.close()

    def rebuild_with(self, names: list[str]) -> None:
        model = self.model
        self.generation = secrets.token_hex(8)
        totals = [
            Total(ACCOUNTS[n].id, model.taken.get(n, 0), model.settled.get(n, 0)) for n in names
        ]
        holds = [
            OpenHold(
                id_, hold.amount, 1, hold.extensions, SLOT.policy_id if hold.slot else "",
                [ACCOUNTS[name].id for name in hold.accounts],
            )
            for id_, hold in model.holds.items()
        ]  # fmt: skip
        state = Rebuild(totals, holds, 0, model.frozen)
        self.do(self.balances.rebuild(self.generation, state))
        for name in names:
            model.taken.setdefault(name, 0)
            model.settled.setdefault(name, 0)

    @rule(target=wanted, amount=AMOUNTS, chosen=CHOSEN, slot=st.booleans(), claim=CLAIMS)
    def make(self, amount: int, chosen: list[str], claim: str | None, *, slot: bool) -> Reservation:
        key = Claim(claim, "body") if claim else None
        accounts: list[Account] = [ACCOUNTS[name] for name in chosen]
        limits = [SLOT] if slot else []
        made = reservation(amount, *accounts, limits=limits, claim=key)
        self.names[made.id] = chosen
        return made

    @rule(wanted=wanted)
    def reserve(self, wanted: Reservation) -> None:
        expected = self.model.reserve(wanted, self.names[wanted.id])
        [answer] = self.do(self.balances.reserve(self.generation, [wanted]))
        assert answer == expected

    @rule(first=wanted, second=wanted)
    def reserve_two(self, first: Reservation, second: Reservation) -> None:
        group = [first, second]
        expected = [self.model.reserve(each, self.names[each.id]) for each in group]
        assert self.do(self.balances.reserve(self.generation, group)) == expected

    @rule(wanted=wanted)
    def take_over_the_claim(self, wanted: Reservation) -> None:
        if wanted.claim is not None:
            wanted.replaces = self.model.claims.get(wanted.claim.key_digest)
            self.reserve(wanted)

    @rule(wanted=wanted, number=st.integers(1, 3), more=AMOUNTS)
    def extend(self, wanted: Reservation, number: int, more: int) -> None:
        expected = self.model.extend(wanted, number, more)
        answer = self.do(self.balances.extend(self.generation, wanted, number, more))
        assert answer == expected

    @rule(wanted=wanted, cost=AMOUNTS)
    def post(self, wanted: Reservation, cost: int) -> None:
        self.model.end(wanted.id, cost)
        self.do(self.balances.post(self.generation, [Post(wanted.id, cost, 0)]))

    @rule(wanted=consumes(wanted))
    def void(self, wanted: Reservation) -> None:
        self.model.end(wanted.id, 0)
        self.model.given_up.add(wanted.id)
        claim = wanted.claim.key_digest if wanted.claim else None
        if claim and self.model.claims.get(claim) == wanted.id:
            del self.model.claims[claim]
        self.do(self.balances.void(self.generation, wanted))
        assert self.do(self.balances.reserve(self.generation, [wanted])) == [
            self.model.reserve(wanted, self.names[wanted.id])
        ]

    @rule(wanted=wanted)
    def let_go(self, wanted: Reservation) -> None:
        """What the worker does for a lost reservation."""
        hold = self.model.holds.get(wanted.id)
        if hold is not None and hold.slot:
            hold.slot = False
            self.model.running -= 1
        names = keys(self.org_id, self.generation)
        sha = script("let_go", self.generation).sha1
        named = (names.generation, names.records, names.running)
        self.client.evalsha(sha, len(named), *named, str(wanted.id))

    @rule(settled=st.integers(0, 40))
    def seed_late(self, settled: int) -> None:
        total = Total(ACCOUNTS["late"].id, settled, settled)
        self.do(self.balances.seed(self.generation, [total]))
        self.model.taken.setdefault("late", settled)
        self.model.settled.setdefault("late", settled)

    @rule(frozen=st.booleans())
    def freeze(self, *, frozen: bool) -> None:
        self.model.frozen = frozen
        key = frozen_key(self.org_id)
        self.client.set(key, 1) if frozen else self.client.delete(key)

    @rule()
    def rebuild(self) -> None:
        """Tombstones and claims are Postgres's to know then."""
        self.model.given_up.clear()
        self.model.claims.clear()
        self.rebuild_with(list(self.model.taken))

    @invariant()
    def both_show_the_same(self) -> None:
        names, model = keys(self.org_id, self.generation), self.model

        def amounts(name: str) -> dict[str, int]:
            found = cast("dict[bytes, bytes]", self.client.hgetall(name))
            return {key.decode().partition("@")[0]: int(value) for key, value in found.items()}

        assert amounts(names.taken) == model.taken
        assert amounts(names.settled) == model.settled
        assert amounts(names.running) == ({SLOT.policy_id: model.running} if model.running else {})
        assert cast("int", self.client.hlen(names.records)) == len(model.holds)


@pytest.mark.parametrize("examples", [60])
def test_any_sequence_of_calls_answers_and_counts_as_the_model(
    store_url: str, examples: int
) -> None:
    Scripts.url = store_url
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Scripts, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None)
    )
