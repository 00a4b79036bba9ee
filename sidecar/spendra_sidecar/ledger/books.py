"""The system of record in Postgres: a narrow face over the functions of the ledger schema."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
import msgspec

from spendra_sidecar.ledger.balances import OpenHold, Rebuild, Total
from spendra_sidecar.ledger.calls import Claimed
from spendra_sidecar.ledger.journal import Row
from spendra_sidecar.ledger.open_journal import Opened
from spendra_sidecar.ledger.words import (
    Account,
    Claim,
    Pending,
    Reservation,
    Reviewed,
    Settled,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

_RESERVE = """SELECT * FROM spendra.reserve($1, $2, $3, $4, $5::bigint[], $6::uuid[], $7::uuid[],
    $8::smallint[], $9::timestamptz[], $10::bigint[], $11::bigint[], $12::text[], $13::text[],
    $14::text[], $15::text[], $16::text[], $17::text[], $18::smallint[], $19::uuid[],
    $20::text[], $21::text[])"""
_SETTLE = """SELECT * FROM spendra.settle($1, $2::uuid[], $3::text[], $4::text[], $5::bigint[],
    $6::text[], $7::smallint[], $8::text[], $9::bigint[], $10::bigint[], $11::bigint[],
    $12::bigint[], $13::bigint[], $14::text[])"""
_REFUSALS = """SELECT spendra.record_refusals($1, $2, $3::uuid[], $4::timestamptz[],
    $5::smallint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::bigint[],
    $12::text[], $13::bigint[], $14::text[])"""
_OPEN_ACCOUNTS = """SELECT * FROM spendra.open_accounts($1, $2, $3::text[], $4::text[],
    $5::timestamptz[], $6::timestamptz[])"""
_STATE = """SELECT
    (SELECT json_agg(json_build_array(t.account_id, t.settled_nanousd + t.held_nanousd,
        t.settled_nanousd)) FROM spendra.live_totals($1) t),
    (SELECT json_agg(json_build_array(h.reservation_id, h.reserved_nanousd,
        (extract(epoch FROM h.reserved_at) * 1000)::bigint, h.extensions, h.slots,
        h.account_ids)) FROM spendra.open_reservations($1) h),
    spendra.min_policy_version($1), spendra.is_frozen($1)"""
_LAND_OPEN = """SELECT spendra.land_open($1, $2, $3::text[], $4::uuid[], $5::uuid[],
    $6::smallint[], $7::timestamptz[], $8::bigint[], $9::bigint[], $10::text[], $11::text[],
    $12::text[], $13::bigint[], $14::text[], $15::text[], $16::smallint[], $17::uuid[],
    $18::text[])"""
_WRITERS = 2
_LAST_INSTANT = datetime(9999, 12, 31, tzinfo=UTC)


class BooksUnavailableError(Exception):
    """Postgres did not answer, or refused; whether it acted is not known."""


class BooksRefusedError(BooksUnavailableError):
    """Postgres refused what was asked for its content: asking again cannot help."""


class Written(NamedTuple):
    """What became of a group's durable write."""

    generation: str | None
    """The current one; when it is not the one that was named, nothing was written."""
    unwritten: "frozenset[UUID]"
    """Those that must not leave: given up, or their idempotency key is another's."""
    is_frozen: bool = False


_FAILURES = (
    asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError,
    TimeoutError,
)  # fmt: skip


def _is_about_content(error: Exception) -> bool:
    """Values that Postgres, or the client before it, does not take."""
    if isinstance(error, asyncpg.DataError | asyncpg.IntegrityConstraintViolationError):
        return True
    return isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)


class Line:
    """One connection to Postgres, opened when needed and again after it broke."""

    def __init__(self, url: str, timeout_s: float, *, is_pooled: bool) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._is_pooled = is_pooled
        self._connection: Any = None
        self._lock = asyncio.Lock()

    @property
    def in_use(self) -> bool:
        return self._lock.locked()

    @asynccontextmanager
    async def use(self) -> "AsyncIterator[Any]":
        """The connection, for one caller at a time.

        Raises BooksUnavailableError, or BooksRefusedError.
        """
        async with self._lock:
            try:
                connection = await self._connected()
                if self._is_pooled:
                    async with connection.transaction():
                        yield connection
                else:
                    yield connection
            except asyncio.CancelledError:
                # It may be in the middle of a transaction, or about to open one.
                self._drop()
                raise
            except _FAILURES as error:
                if _is_about_content(error):
                    raise BooksRefusedError(str(error)) from error
                self._drop()
                raise BooksUnavailableError(str(error) or type(error).__name__) from error

    async def _connected(self) -> Any:
        """Behind a pooler in transaction mode, a statement prepared in one transaction is not
        there in the next: nothing is kept prepared, and each use is one transaction."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._url, timeout=self._timeout_s, command_timeout=self._timeout_s,
                statement_cache_size=0 if self._is_pooled else 100,
            )  # fmt: skip
        return self._connection

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close(timeout=1)

    def _drop(self) -> None:
        """After a failure the connection may still be executing: never reuse it."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


class Books:
    """One organization's books, as one sidecar may write them."""

    def __init__(
        self, url: str, org_id: str, sidecar_id: str, timeout_s: float, *, is_pooled: bool = False
    ) -> None:
        self._org_id = org_id
        self._sidecar_id = sidecar_id
        self.incarnation = secrets.token_hex(8)
        """Another at each start: what an earlier one left open can be told apart."""
        lines = [Line(url, timeout_s, is_pooled=is_pooled) for _ in range(_WRITERS + 2)]
        self._settling, self._asking, *self._reserving = lines

    async def reserve(self, generation: str, group: Sequence[Reservation]) -> Written:
        """Make a group durable."""
        columns = zip(*[_reservation_row(reservation) for reservation in group], strict=True)
        async with self._writer().use() as connection:
            current, is_frozen, unwritten = await connection.fetchrow(
                _RESERVE, self._org_id, generation, self._sidecar_id, self.incarnation, *columns
            )
        return Written(current, frozenset(unwritten or ()), bool(is_frozen))

    async def extend(
        self, generation: str, reservation_id: "UUID", number: int, additional_nanousd: int
    ) -> tuple[str | None, bool]:
        """The current generation (another: nothing was written), and whether it is extended."""
        async with self._asking.use() as connection:
            current, extended = await connection.fetchrow(
                "SELECT * FROM spendra.extend($1, $2, $3, $4::smallint, $5)",
                self._org_id, generation, reservation_id, number, additional_nanousd,
            )  # fmt: skip
        return current, bool(extended)

    async def decision_state(self, decision_id: "UUID") -> tuple[str, int]:
        """`in_flight`, `posted`, or `free` (nothing was done for it); and what it cost."""
        async with self._asking.use() as connection:
            state, cost_nanousd = await connection.fetchrow(
                "SELECT * FROM spendra.decision_state($1, $2)", self._org_id, decision_id
            )
        return state, cost_nanousd

    async def claim_holder(self, claim: Claim) -> Claimed | None:
        """The decision that has an idempotency key, and the digest of its body."""
        async with self._asking.use() as connection:
            found = await connection.fetchrow(
                "SELECT * FROM spendra.claim_holder($1, $2)", self._org_id, claim.key_digest
            )
        return None if found is None else Claimed(found["decision_id"], found["body_digest"])

    async def settle(self, group: Sequence[Row]) -> list[Settled]:
        """End a group, each once; answers in the order given."""
        columns = zip(*[row.columns() for row in group], strict=True)
        async with self._settling.use() as connection:
            records = await connection.fetch(_SETTLE, self._org_id, *columns)
        by_id = {record["reservation_id"]: record for record in records}
        return [_settled(by_id[row.reservation_id]) for row in group]

    async def give_up(self, reservation_id: "UUID", reason: str) -> Settled:
        """Void a reservation, or bar it from ever becoming durable. Returns its outcome."""
        async with self._asking.use() as connection:
            record = await connection.fetchrow(
                "SELECT * FROM spendra.give_up($1, $2, $3)", self._org_id, reservation_id, reason
            )
        return _settled(record)

    async def keep_pending(
        self, provider: str, identity: str, kind: str, reservation_id: "UUID", seconds: int
    ) -> bool:
        """Whether it waits for a later answer now, whatever becomes of this sidecar."""
        async with self._asking.use() as connection:
            kept = await connection.fetchval(
                "SELECT spendra.keep_pending($1, $2, $3, $4, $5, $6)",
                self._org_id, provider, identity, kind, reservation_id, seconds,
            )  # fmt: skip
        return bool(kept)

    async def find_pending(self, provider: str, identity: str) -> Pending | None:
        async with self._asking.use() as connection:
            record = await connection.fetchrow(
                "SELECT * FROM spendra.find_pending($1, $2, $3)", self._org_id, provider, identity
            )
        return None if record is None else _pending(provider, record)

    async def ask_review(
        self, decision_id: "UUID", key_id: str, policy_id: str, provider: str, model: str,
        nanousd: int, facts: str,
    ) -> Reviewed:  # fmt: skip
        """Use up an approval that fits, or leave a request for one."""
        async with self._asking.use() as connection:
            record = await connection.fetchrow(
                "SELECT * FROM spendra.ask_review($1, $2, $3, $4, $5, $6, $7, $8)",
                self._org_id, decision_id, key_id, policy_id, provider, model, nanousd, facts,
            )  # fmt: skip
        return Reviewed(*record)

    async def give_review_back(self, request_id: str, decision_id: "UUID") -> None:
        async with self._asking.use() as connection:
            await connection.execute(
                "SELECT spendra.give_review_back($1, $2, $3)",
                self._org_id, request_id, decision_id,
            )  # fmt: skip

    async def record_refusals(self, rows: Sequence[tuple[Any, ...]]) -> None:
        columns = zip(*rows, strict=True)
        async with self._asking.use() as connection:
            await connection.execute(_REFUSALS, self._org_id, self._sidecar_id, *columns)

    async def current_generation(self) -> str | None:
        async with self._asking.use() as connection:
            current: str | None = await connection.fetchval(
                "SELECT spendra.current_generation($1)", self._org_id
            )
        return current

    async def open_accounts(
        self, generation: str, accounts: Sequence[Account]
    ) -> list[Total] | None:
        """Totals of accounts, opened where needed. None: the generation is not current."""
        columns = zip(*[_account_row(account) for account in accounts], strict=True)
        async with self._asking.use() as connection:
            records = await connection.fetch(_OPEN_ACCOUNTS, self._org_id, generation, *columns)
        return [_total(record) for record in records] or None

    @asynccontextmanager
    async def rebuilding(
        self, expected: str | None, new: str, landing: Sequence[Opened] = ()
    ) -> "AsyncIterator[tuple[str, Rebuild | None]]":
        """Raise the generation under the organization's lock, kept until the block ends.

        What was let through without the ledger (`landing`) becomes part of it.
        Yields the generation that is current then, and what to rebuild from; None when somebody
        else was first.
        """
        async with self._asking.use() as connection, connection.transaction():
            current = await connection.fetchval(
                "SELECT spendra.raise_generation($1, $2, $3, $4)",
                self._org_id, expected, new, self._sidecar_id,
            )  # fmt: skip
            if current == new and landing:
                columns = zip(*[_opened_row(opened) for opened in landing], strict=True)
                await connection.execute(_LAND_OPEN, self._org_id, self._sidecar_id, *columns)
            yield current, await self._state(connection) if current == new else None

    async def _state(self, connection: Any) -> Rebuild:
        """One statement, so one instant: a settlement landing between two reads would count
        neither as held nor as settled, or as both."""
        totals, holds, version, is_frozen = await connection.fetchrow(_STATE, self._org_id)
        return Rebuild(
            msgspec.json.decode(totals or "[]", type=list[Total]),
            msgspec.json.decode(holds or "[]", type=list[OpenHold]),
            version or 0,
            bool(is_frozen),
        )

    async def renew_lease(self, seconds: int) -> None:
        async with self._asking.use() as connection:
            await connection.execute(
                "SELECT spendra.renew_lease($1, $2, $3, $4)",
                self._org_id, self._sidecar_id, self.incarnation, seconds,
            )  # fmt: skip

    async def release_lease(self) -> None:
        async with self._asking.use() as connection:
            await connection.execute(
                "SELECT spendra.release_lease($1, $2, $3)",
                self._org_id, self._sidecar_id, self.incarnation,
            )  # fmt: skip

    async def close(self) -> None:
        for line in (*self._reserving, self._settling, self._asking):
            await line.close()

    @property
    def writers(self) -> int:
        """How many groups of reservations may be written at the same time."""
        return len(self._reserving)

    def _writer(self) -> Line:
        return next((line for line in self._reserving if not line.in_use), self._reserving[0])


def _reservation_row(r: Reservation) -> tuple[Any, ...]:
    return (
        r.policy_version, r.id, r.decision_id, r.attempt, r.reserved_at, r.amount_nanousd,
        r.estimated_nanousd, ",".join(r.account_ids), r.provider, r.model, r.price_version, r.facts,
        r.slots, r.retry_count, r.retry_of, *(r.claim or ("", "")),
    )  # fmt: skip


def _opened_row(opened: Opened) -> tuple[Any, ...]:
    r = opened.reservation
    return (
        opened.incarnation, r.id, r.decision_id, r.attempt, r.reserved_at, r.amount_nanousd,
        r.estimated_nanousd, ",".join(r.account_ids), r.provider, r.model, r.policy_version,
        r.price_version, r.facts, r.retry_count, r.retry_of,
        ",".join(str(id_) for id_ in opened.allowances),
    )  # fmt: skip


def _pending(provider: str, record: Any) -> Pending:
    reservation = Reservation(
        id=record["reservation_id"],
        decision_id=record["decision_id"],
        attempt=record["attempt"],
        reserved_at=record["reserved_at"],
        amount_nanousd=record["reserved_nanousd"],
        estimated_nanousd=record["estimated_nanousd"],
        accounts=(),
        limits=[],
        provider=provider,
        model=record["requested_model"],
        policy_version=record["policy_version"],
        price_version=record["price_version"],
        facts=record["facts"],
        dispatch_by=0.0,
    )
    return Pending(record["kind"], reservation)


def _account_row(account: Account) -> tuple[Any, ...]:
    start = datetime.fromtimestamp(account.start_s, UTC)
    end = datetime.fromtimestamp(account.end_s, UTC)
    return account.id, account.budget.id, start, min(end, _LAST_INSTANT)


def _settled(record: Any) -> Settled:
    return Settled(record["outcome"], record["cost_nanousd"] or 0)


def _total(record: Any) -> Total:
    settled = record["settled_nanousd"]
    taken = settled + record["held_nanousd"]
    return Total(record["account_id"], taken, settled, record["reservations"])
