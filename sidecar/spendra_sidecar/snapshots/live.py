"""One snapshot in force: its segments, loaded."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from spendra import snapshot as wire
from spendra._hot import HotError, KeyRing, KeyShard, PolicyTree, PriceBook, Principal
from spendra.hours import HoursClock
from spendra.ids import account_id
from spendra.periods import Window, window
from spendra.scopes import globs
from spendra_sidecar.ledger.words import Account
from spendra_sidecar.snapshots.routes import Routes, compiled

_NEVER = Window(0, 0)


class BudgetClock:
    """A budget and the account of its present window."""

    def __init__(self, budget: wire.BudgetRecord) -> None:
        self.budget = budget
        self._window = _NEVER
        self._account: Account | None = None

    def account(self, at_ms: int) -> Account | None:
        """None: a fixed budget outside its dates."""
        if not self._window.holds(at_ms):
            self._turn(at_ms)
        return self._account

    def _turn(self, at_ms: int) -> None:
        found = window(self.budget, at_ms)
        self._window = found or _NEVER
        self._account = None if found is None else self._open(found)

    def _open(self, found: Window) -> Account:
        budget = self.budget
        limit = budget.limit_nanousd if budget.kind == "hard" else None
        versioned_limit = f"{budget.version}:{'' if limit is None else limit}"
        identity = account_id(budget.id, found.start_s)
        return Account(identity, budget, limit, versioned_limit, found.start_s, found.end_s)


class CheaperModels:
    """What one policy says about models that may serve in place of others."""

    def __init__(self, routing: wire.Routing) -> None:
        self.mode = routing.mode
        self._routes = [(globs(each.models).fullmatch, each.instead) for each in routing.routes]

    def instead(self, model: str) -> list[str]:
        """Of the first of its routes that names the model."""
        return next((instead for matches, instead in self._routes if matches(model)), [])


class _Policy(NamedTuple):
    """What the policy segment says."""

    policies: PolicyTree
    budgets: list[BudgetClock]
    hours: HoursClock
    routing: dict[str, CheaperModels]
    fits: bool

    @classmethod
    def load(cls, segment: bytes) -> Self:
        said = wire.decode(segment, wire.PolicySegment)
        budgets = [BudgetClock(budget) for budget in said.budgets]
        routing = {
            policy.id: CheaperModels(policy.rules.routing)
            for policy in said.policies
            if policy.rules.routing is not None
        }
        fits = any(policy.rules.fit_output_to_budget is not None for policy in said.policies)
        return cls(PolicyTree.load(segment), budgets, HoursClock(said.policies), routing, fits)


@dataclass(frozen=True, slots=True)
class Live:
    """Everything a request is decided with, of one version, swapped whole."""

    org_id: str
    version: int
    keys: KeyRing
    policies: PolicyTree
    prices: PriceBook
    budgets: list[BudgetClock]
    hours: HoursClock
    routing: dict[str, CheaperModels]
    """By the policies that say something about it."""
    fits: bool
    """Whether some policy has output fitted to what a budget has left."""
    routes: Routes
    issuers: list[wire.IssuerRecord]
    source: wire.Snapshot
    shards: dict[str, KeyShard]
    """What `keys` is put together from, by the names of their segments."""

    def accounts(self, positions: Iterable[int], at_ms: int) -> tuple[Account, ...]:
        found = (self.budgets[position].account(at_ms) for position in positions)
        return tuple(account for account in found if account is not None)

    def seen_by(self, principal: Principal) -> "Live":
        """With the routes that a caller may use."""
        routes = self.routes.open_to(principal)
        return self if routes is self.routes else replace(self, routes=routes)

    def has(self, name: str, digest: str) -> bool:
        """Whether a segment is the one that is loaded here."""
        return self.source.manifest.segments.get(name) == digest


def load(source: wire.Snapshot, before: Live | None) -> Live:
    """Raises SnapshotError. What a segment says is kept from `before` where it is the same."""
    segments, digests = source.segments, source.manifest.segments
    secrets = wire.decode(segments["secrets"], wire.SecretsSegment)

    def kept(name: str) -> Live | None:
        return before if before is not None and before.has(name, digests[name]) else None

    try:
        shards = {
            name: same.shards[name] if (same := kept(name)) else KeyShard.load(segments[name])
            for name in segments
            if wire.KEYS(name)
        }
        policy = kept("policy") or _Policy.load(segments["policy"])
        return Live(
            org_id=source.manifest.org_id,
            version=source.manifest.version,
            keys=KeyRing(list(shards.values()), bytes.fromhex(secrets.key_pepper)),
            policies=policy.policies,
            prices=book.prices if (book := kept("prices")) else PriceBook.load(segments["prices"]),
            budgets=policy.budgets,
            hours=policy.hours,
            routing=policy.routing,
            fits=policy.fits,
            routes=Routes(compiled(record) for record in secrets.routes),
            issuers=secrets.issuers,
            source=source,
            shards=shards,
        )
    except HotError as error:
        raise wire.SnapshotError(str(error)) from error
