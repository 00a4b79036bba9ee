"""One Postgres and one Valkey for the session; an organization with empty books per test."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from spendra.ids import uuid7
from spendra.periods import FOREVER_S
from spendra.snapshot import BudgetRecord
from spendra_sidecar.ledger.balances import Balances
from spendra_sidecar.ledger.books import Books
from spendra_sidecar.ledger.journal import Journal
from spendra_sidecar.ledger.ledger import Ledger
from spendra_sidecar.ledger.words import Account, Claim, Limit, Outcome, Reservation, Tokens
from spendra_sidecar.metrics import Metrics
from tests.servers import Postgres, Server, start_postgres, start_valkey

if TYPE_CHECKING:
    from uuid import UUID

TIMEOUT_S = 2.0


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    server: Postgres = start_postgres()
    yield server.install(server.create_database("ledger"))
    server.stop()


@pytest.fixture(scope="session")
def valkey() -> Iterator[Server]:
    server = start_valkey()
    yield server
    server.stop()


@dataclass
class Desk:
    """One organization and what a sidecar of it uses."""

    org_id: str
    database_url: str
    redis_url: str
    state_dir: Path
    database: asyncpg.Connection
    sidecars: list[Ledger] = field(default_factory=list)
    closing: list[object] = field(default_factory=list)

    def sidecar(self, *, database_url: str = "", redis_url: str = "", name: str = "") -> Ledger:
        """Another sidecar's ledger, or a new start of one that was there."""
        name = name or f"sidecar-{len(self.sidecars)}"
        balances = Balances(redis_url or self.redis_url, self.org_id, TIMEOUT_S)
        books = Books(database_url or self.database_url, self.org_id, name, TIMEOUT_S)
        journal = Journal(self.state_dir / name / "journal.jsonl")
        ledger = Ledger(balances, books, journal, Metrics())
        self.sidecars.append(ledger)
        self.closing += [balances, books]
        return ledger

    async def totals(self, account: Account) -> tuple[int, int]:
        """Settled and held of an account, as Postgres knows it."""
        row = await self.database.fetchrow(
            "SELECT * FROM spendra.account_totals($1, $2)", self.org_id, [account.id]
        )
        return (row["settled_nanousd"], row["held_nanousd"]) if row else (0, 0)

    async def age_lost(self) -> None:
        """What is lost has been for an hour, so an operator may end it."""
        await self.database.execute(
            "UPDATE spendra.reservations SET lost_at = lost_at - interval '1 hour'"
            " WHERE org_id = $1 AND state = 'lost'",
            self.org_id,
        )

    async def close(self) -> None:
        for ledger in self.sidecars:
            await ledger.drain()
        for each in self.closing:
            await each.close()
        await self.database.close()


@contextlib.asynccontextmanager
async def open_desk(
    database: str, redis_url: str, directory: Path, org_id: str = ""
) -> AsyncIterator[Desk]:
    """A fresh organization."""
    org_id = org_id or f"org_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(database)
    await connection.execute(
        "INSERT INTO spendra.organizations (id, name, key_pepper_sealed, signing_key_sealed, "
        "snapshot_public_key) VALUES ($1, $1, '', '', '')",
        org_id,
    )
    desk = Desk(org_id, database, redis_url, directory, connection)
    try:
        yield desk
    finally:
        await desk.close()


@pytest.fixture
async def desk(database: str, valkey: Server, tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(database, valkey.url, tmp_path) as opened:
        yield opened


def account(
    name: str, limit_nanousd: int, *, kind: str = "hard", version: int = 1, open_up_to: int = 0
) -> Account:
    """The account of a budget without reset."""
    budget = BudgetRecord(
        id=name, name=name, selector={}, period="none", timezone="UTC",
        limit_nanousd=limit_nanousd, kind=kind, version=version,
        open_up_to_nanousd=open_up_to,
    )  # fmt: skip
    limit = limit_nanousd if kind == "hard" else None
    versioned_limit = f"{version}:{'' if limit is None else limit}"
    return Account(f"{name}@0", budget, limit, versioned_limit, 0, FOREVER_S)


def reservation(
    amount_nanousd: int,
    *accounts: Account,
    limits: Sequence[Limit] = (),
    policy_version: int = 1,
    most_tokens: int = 0,
    claim: Claim | None = None,
) -> Reservation:
    identity: UUID = uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10))
    return Reservation(
        id=identity, decision_id=identity, attempt=1, reserved_at=datetime.now(UTC),
        amount_nanousd=amount_nanousd, estimated_nanousd=amount_nanousd, accounts=accounts,
        limits=list(limits), provider="openai", model="gpt-4o",
        policy_version=policy_version, price_version="test", facts='{"project":["p"]}',
        dispatch_by=time.monotonic() + 15, most_tokens=most_tokens, claim=claim,
    )  # fmt: skip


def posted(cost_nanousd: int) -> Outcome:
    return Outcome(
        outcome="posted", reason="completed", cost_nanousd=cost_nanousd, model="gpt-4o",
        status=200, confidence="reported", tokens=Tokens(10, 0, 0, 5, 0), price_version="test",
    )  # fmt: skip


def voided() -> Outcome:
    return posted(0)._replace(outcome="voided", reason="upstream_unreachable", confidence="none")


async def settle(ledger: Ledger, held: Reservation, end: Outcome) -> None:
    """Settle and wait until Postgres and Redis both have it."""
    ledger.settle(held, end)
    await ledger.drain()


async def gather_reserved(ledgers: list[Ledger], wanted: list[Reservation]) -> list[object]:
    """All at once, spread over the sidecars."""
    calls = [ledgers[i % len(ledgers)].reserve(each) for i, each in enumerate(wanted)]
    return await asyncio.gather(*calls)
