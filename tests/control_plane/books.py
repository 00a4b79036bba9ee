"""Writes the ledger of an organization by the ledger's own functions, as a sidecar does."""

import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg

from spendra.ids import account_id
from spendra.periods import FOREVER_S

RESERVE = """
SELECT spendra.reserve($1, 'g1', 's1', 'i1', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
    '{""}', '{0}', '{NULL}', '{""}', '{""}')
"""
SETTLE = "SELECT * FROM spendra.settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
REFUSE = """
SELECT spendra.record_refusals($1, 's1', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
FACTS = {"project": ["checkout"], "model": ["gpt-5-mini"], "provider": ["openai"]}


class Books:
    """Writes the ledger of one organization as a sidecar does."""

    def __init__(self, connection: asyncpg.Connection, org_id: str) -> None:
        self.connection, self._org_id = connection, org_id
        self.facts = FACTS
        self.usage = (100, 20, 5, 50, 10)
        self.reserved_at: datetime | None = None

    async def open_account(self, budget_id: str) -> str:
        """The account of a budget that never resets."""
        end = datetime.fromtimestamp(FOREVER_S, tz=UTC)
        return await self.open_window(budget_id, datetime.fromtimestamp(0, tz=UTC), end)

    async def open_window(self, budget_id: str, start: datetime, end: datetime) -> str:
        account = account_id(budget_id, round(start.timestamp()))
        sql = "SELECT spendra.raise_generation($1, NULL, 'g1', 'test')"
        await self.connection.execute(sql, self._org_id)
        await self.connection.fetch(
            "SELECT * FROM spendra.open_accounts($1, 'g1', $2, $3, $4, $5)",
            self._org_id,
            [account],
            [budget_id],
            [start],
            [end],
        )
        return account

    async def reserve(
        self, nanousd: int, account: str, decision: UUID | None = None, attempt: int = 1
    ) -> tuple[UUID, UUID]:
        """Decision id and reservation id."""
        reservation, decision = uuid4(), decision or uuid4()
        moment = self.reserved_at or datetime.now(UTC)
        values = (7, reservation, decision, attempt, moment, nanousd, nanousd // 2)
        rest = (account, "openai", "gpt-5-mini", "v1", json.dumps(self.facts))
        columns = [[value] for value in (*values, *rest)]
        await self.connection.fetchval(RESERVE, self._org_id, *columns)
        return decision, reservation

    async def settle(self, reservation: UUID, outcome: str, nanousd: int) -> None:
        values = (reservation, outcome, "finished", nanousd, "gpt-5-mini-2026", 200, "reported")
        columns = [[value] for value in (*values, *self.usage, "v1")]
        await self.connection.fetch(SETTLE, self._org_id, *columns)

    async def spend(self, nanousd: int, account: str) -> UUID:
        decision, reservation = await self.reserve(nanousd, account)
        await self.settle(reservation, "posted", nanousd)
        return decision

    async def refuse(self, account: str) -> UUID:
        decision = uuid4()
        values = (decision, datetime.now(UTC), 402, "budget_exhausted", "Not enough left.")
        rest = ("openai", "gpt-5-mini", 10, 20, account, 7, json.dumps(self.facts))
        await self.connection.execute(REFUSE, self._org_id, *([one] for one in (*values, *rest)))
        return decision

    async def lose(self) -> None:
        """Nobody here holds a lease, so everything open is lost."""
        await self.connection.execute("SELECT spendra.label_lost($1)", self._org_id)

    async def reconcile_at(self, *moments: str) -> None:
        """Balances were found wrong at each of them (ISO 8601)."""
        for moment in moments:
            await self.connection.execute(
                "INSERT INTO spendra.reconciliations (org_id, reconciled_at, generation, findings)"
                ' VALUES ($1, $2, \'closed\', \'[{"kind": "account", "drift_nanousd": 5}]\')',
                self._org_id,
                datetime.fromisoformat(moment),
            )

    async def age_lost(self) -> None:
        """What is lost has been for an hour, so an operator may end it."""
        await self.connection.execute(
            "UPDATE spendra.reservations SET lost_at = lost_at - interval '1 hour'"
            " WHERE org_id = $1 AND state = 'lost'",
            self._org_id,
        )

    async def ask_review(self, key_id: str, nanousd: int) -> str:
        """The id of the review that a request of this key waits for."""
        row = await self.connection.fetchrow(
            "SELECT * FROM spendra.ask_review($1, $2, $3, 'pol_1', 'openai', 'gpt-5', $4, $5)",
            self._org_id, uuid4(), key_id, nanousd, json.dumps(self.facts),
        )  # fmt: skip
        return str(row["request_id"])
