"""The safety rules, each with a switch that only tests can turn: one broken rule at a time."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from spendra import balances as scripts
from spendra_sidecar.ledger.balances import Balances
from spendra_sidecar.ledger.books import BooksUnavailableError
from spendra_sidecar.ledger.calls import Post
from spendra_sidecar.ledger.journal import Row
from spendra_sidecar.ledger.releases import Releases
from spendra_sidecar.ledger.resp import ReplyError
from spendra_sidecar.ledger.settling import Settling
from spendra_sidecar.ledger.words import Settled
from tests.simulation.postgres_model import LOCKS, PostgresModel
from tests.simulation.postgres_model import Row as OpenRow
from tests.simulation.world import World

Mutant = Callable[[], AbstractContextManager[Any]]


def settles_twice() -> AbstractContextManager[Any]:
    """A repeated settlement is booked again."""
    settle = PostgresModel.settle

    def twice(self: PostgresModel, session: Any, org: str, ids: Any, *values: Any) -> Any:
        outcomes, reasons, costs = values[:3]
        ended = {event.reservation_id: event for event in self.events}
        for each, outcome, reason, cost in zip(ids, outcomes, reasons, costs, strict=True):
            if each in ended:
                old = ended[each]
                row = OpenRow(each, "", "", "", 0, old.reserved_nanousd, old.account_ids)
                self.insert(row)
                del self.reservations[each]
                self.end(row, outcome, reason, cost)
        return settle(self, session, org, ids, *values)

    return mock.patch.object(PostgresModel, "settle", twice)


def releases_before_the_durable_write_is_known() -> AbstractContextManager[Any]:
    """A hold whose durable write was not answered is released in Redis at once."""
    give_up = Releases.give_up

    def hasty(self: Releases, reservation: Any, *, durable_write_was_sent: bool) -> None:
        del durable_write_was_sent
        give_up(self, reservation, durable_write_was_sent=False)

    return mock.patch.object(Releases, "give_up", hasty)


def skips_the_generation_check() -> AbstractContextManager[Any]:
    """Postgres takes reservations that were held under a closed generation."""
    reserve = PostgresModel.reserve

    def lax(self: PostgresModel, session: Any, org: str, generation: str, *values: Any) -> Any:
        answer = reserve(self, session, org, self.generation or "", *values)
        return answer | {"generation": generation}

    return mock.patch.object(PostgresModel, "reserve", lax)


def rebuilds_without_the_lock() -> AbstractContextManager[Any]:
    """Reservations become durable while a rebuild is under way."""
    return mock.patch.dict(LOCKS, {"raise_generation": None})


def forgets_the_second_account() -> AbstractContextManager[Any]:
    """The reserve script holds on the first account only."""
    return _in_script(
        "reserve",
        "for account = 1, accounts do redis.call('HINCRBY'",
        "for account = 1, math.min(accounts, 1) do redis.call('HINCRBY'",
    )


def checks_the_first_account_only() -> AbstractContextManager[Any]:
    """The reserve script lets the second account go over its limit."""
    return _in_script("reserve", "if limit ~= '' and room", "if position == 1 and room")


def skips_the_tombstone() -> AbstractContextManager[Any]:
    """A reservation that was given up can still become durable."""

    def barred_by_nothing(
        self: PostgresModel, session: Any, org: str, each: Any, reason: str = ""
    ) -> Any:
        return self.settle(session, org, [each], ["voided"], [reason], [0])[0]

    return mock.patch.object(PostgresModel, "give_up", barred_by_nothing)


def skips_the_dispatch_deadline() -> AbstractContextManager[Any]:
    """A sidecar that slept sends what others have given up on."""
    return mock.patch.object(World, "deadline_is_checked", new=False)


def releases_what_was_posted_meanwhile() -> AbstractContextManager[Any]:
    """A sidecar that slept releases the hold of what was lost and posted."""
    free = Releases._free

    async def blind(self: Releases, reservation: Any, first: Settled) -> None:
        await free(self, reservation, first._replace(outcome="voided"))

    return mock.patch.object(Releases, "_free", blind)


def settles_in_redis_first() -> AbstractContextManager[Any]:
    """The hold is moved before Postgres has the settlement."""
    book = Settling.book

    async def eager(self: Settling, group: Sequence[Row]) -> None:
        await self._move([Post(row.reservation_id, row.end.cost_nanousd, None) for row in group])
        await book(self, group)

    return mock.patch.object(Settling, "book", eager)


def loads_scripts_again() -> AbstractContextManager[Any]:
    """A client that helps itself when a server does not know a script."""
    execute = Balances._execute

    async def helpful(self: Balances, commands: Sequence[Any]) -> list[Any]:
        answers = await execute(self, commands)
        if any(isinstance(a, ReplyError) and str(a).startswith("NOSCRIPT") for a in answers):
            generation = str(commands[0][3]).split(":")[2]
            names = scripts.SCRIPT_NAMES
            texts = [scripts.script(name, generation).text for name in names]
            await execute(self, [("SCRIPT", "LOAD", text) for text in texts])
            return await execute(self, commands)
        return answers

    return mock.patch.object(Balances, "_execute", helpful)


def forgets_what_postgres_could_not_take() -> AbstractContextManager[Any]:
    """A settlement that fails is not journaled."""
    book = Settling.book

    async def forgetful(self: Settling, group: Sequence[Row]) -> None:
        with contextlib.suppress(BooksUnavailableError):
            await book(self, group)

    return mock.patch.object(Settling, "book", forgetful)


def posts_a_hold_again() -> AbstractContextManager[Any]:
    """The post script does not remove the hold that it moved."""
    return _in_script("post", "redis.call('HDEL', KEYS[2], ARGV[1])", "")


@contextlib.contextmanager
def _in_script(name: str, right: str, wrong: str) -> Iterator[None]:
    """Another text for one script; it must have had what is taken out."""
    source = scripts._source

    def changed(asked: str) -> str:
        text = source(asked)
        if asked == name:
            assert right in text, f"{name}.lua no longer says: {right}"
            return text.replace(right, wrong)
        return text

    scripts.script.cache_clear()
    try:
        with mock.patch.object(scripts, "_source", changed):
            yield
    finally:
        scripts.script.cache_clear()


MUTANTS: tuple[Mutant, ...] = (
    settles_twice,
    releases_before_the_durable_write_is_known,
    skips_the_generation_check,
    rebuilds_without_the_lock,
    forgets_the_second_account,
    checks_the_first_account_only,
    skips_the_tombstone,
    skips_the_dispatch_deadline,
    releases_what_was_posted_meanwhile,
    settles_in_redis_first,
    loads_scripts_again,
    forgets_what_postgres_could_not_take,
    posts_a_hold_again,
)
