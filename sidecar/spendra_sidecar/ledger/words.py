"""The values that pass between the request and the ledger."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from spendra.snapshot import BudgetRecord


class Account(NamedTuple):
    """A budget in one window of its period."""

    id: str
    budget: BudgetRecord
    limit_nanousd: int | None
    """None for a soft budget, which is counted and never refuses."""
    versioned_limit: str
    """`<version>:<limit>` as the reserve script wants it; the limit empty for a soft budget."""
    start_s: int
    end_s: int


class Limit(NamedTuple):
    """What a policy allows of all its requests together, over all sidecars."""

    rule: str
    """`requests_per_minute`, `tokens_per_minute` or `max_concurrency`."""
    policy_id: str
    most: int


class Claim(NamedTuple):
    """An idempotency key, as it is stored: digests only (`spendra_sidecar.serving.repeats`)."""

    key_digest: str
    body_digest: str


@dataclass(slots=True)
class Reservation:
    """An amount to be held on several accounts, all or none.

    The first reservation of a decision carries the decision's id; further attempts, and their
    reservations, have ids of their own.
    """

    id: UUID
    decision_id: UUID
    attempt: int
    reserved_at: datetime
    amount_nanousd: int
    estimated_nanousd: int
    accounts: tuple[Account, ...]
    limits: list[Limit]
    provider: str
    model: str
    policy_version: int
    price_version: str
    facts: str
    dispatch_by: float
    """Monotonic seconds: later than this it must not be sent."""
    most_tokens: int = 0
    """Input and output together, at worst: what limits on tokens count until it has ended."""
    claim: Claim | None = None
    retry_count: int = 0
    """An SDK's own count of this repeat; 0 for a first try."""
    retry_of: UUID | None = None
    """The decision that it repeats, where that is known."""
    generation: str = field(default="")
    """The generation under which it was held."""
    extensions: int = 0
    """How many of its extensions are durable; `amount_nanousd` has them in it."""
    replaces: UUID | None = None
    """A decision for which nothing was done, whose idempotency key this one takes over."""

    def extend_to(self, number: int, additional_nanousd: int) -> None:
        """Count an extension that is durable, once."""
        if number > self.extensions:
            self.extensions = number
            self.amount_nanousd += additional_nanousd

    @property
    def account_ids(self) -> list[str]:
        return [account.id for account in self.accounts]

    @property
    def slots(self) -> str:
        """Policies in whose concurrency it counts, by comma."""
        return ",".join(each.policy_id for each in self.limits if each.rule == "max_concurrency")


class Pending(NamedTuple):
    """An open reservation whose end a later answer of the provider tells."""

    kind: str
    """`response` or `batch`."""
    reservation: Reservation


class Reviewed(NamedTuple):
    """What is known of a request that somebody has to look at."""

    state: str
    """`approved`: this request may go; `waiting` or `denied`: it may not."""
    request_id: str
    nanousd: int
    """An approval is good for so much."""
    note: str | None


class Held(NamedTuple):
    """`taken_nanousd`: settled + held of each account, this hold included, in order."""

    taken_nanousd: tuple[int, ...]


class Exhausted(NamedTuple):
    """The account that was truly short, and its figures at that instant."""

    account: Account
    taken_nanousd: int
    held_nanousd: int
    limit_nanousd: int


class Limited(NamedTuple):
    limit: Limit
    retry_after_ms: int


class Duplicate(NamedTuple):
    """Another request has the idempotency key."""

    decision_id: UUID
    state: str
    """`in_flight` or `posted`."""
    cost_nanousd: int
    same_body: bool


class Frozen(NamedTuple):
    """Spending of the organization is stopped."""


class StalePolicy(NamedTuple):
    """The snapshot may no longer decide; `version` or newer is needed."""

    version: int


class WrongPeriod(NamedTuple):
    """The store's clock is outside a window that was named."""

    server_ms: int


Verdict = Held | Exhausted | Limited | Duplicate | Frozen | StalePolicy | WrongPeriod


class Tokens(NamedTuple):
    """Usage as it is booked; inclusion as in `spendra._hot.Usage`."""

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0


class Outcome(NamedTuple):
    """How a reservation ends. `posted` at a cost, or `voided`: certain that nothing left."""

    outcome: str
    reason: str
    cost_nanousd: int
    model: str
    status: int | None
    confidence: str
    tokens: Tokens
    price_version: str


class Settled(NamedTuple):
    """The first outcome of a reservation; `unknown`: it never became durable."""

    outcome: str
    cost_nanousd: int


class LedgerUnavailableError(Exception):
    """No reservation could be made durable; nothing may leave. The message is for callers."""


class StoresAwayError(LedgerUnavailableError):
    """A store did not answer: where every hard budget says so, a request may go all the same."""
