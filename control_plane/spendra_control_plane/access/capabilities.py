"""The one table of roles: the API enforces it, docs/security.md prints it, a test walks it."""

from collections.abc import Iterable
from typing import Final

CAPABILITIES: Final = {
    "organization:read": "the organization and its settings",
    "organization:freeze": "stop all spending, and resume it",
    "settings:write": "settings of the organization",
    "scopes:read": "teams, projects, people, agents, cost centers, tiers",
    "scopes:write": "make and change them",
    "keys:read": "keys",
    "keys:write": "make, rotate, pause, resume, revoke keys",
    "budgets:read": "budgets and their spend",
    "budgets:write": "make, change, close budgets",
    "budgets:ask": "ask for a larger budget",
    "policies:read": "policies",
    "policies:write": "make, change, close policies",
    "reviews:read": "requests that wait for a review",
    "reviews:decide": "approve and deny them",
    "providers:read": "provider routes",
    "providers:write": "make, change, remove provider routes and their credentials",
    "prices:read": "prices of your own, and what something costs",
    "prices:write": "make and end prices of your own",
    "spend:read": "the ledger, decisions, what is held",
    "record:write": "adjustments, lost money",
    "sidecars:read": "the sidecars, their tokens, and the policy version each obeys",
    "sidecars:write": "make and revoke tokens of sidecars",
    "alerts:read": "channels, subscriptions, notices and what became of them",
    "alerts:write": "make and change channels and subscriptions, send again",
    "audit:read": "who changed what, and when",
    "members:read": "members, their roles and tokens, invitations, signing in",
    "members:write": "make and change members, tokens, invitations, signing in",
}
"""Each capability, with what it opens. Every route of the API needs exactly one."""

_READS = frozenset(name for name in CAPABILITIES if name.endswith(":read"))
ROLES: Final = {
    "owner": frozenset(CAPABILITIES),
    "finance": _READS - {"providers:read", "sidecars:read", "members:read"}
    | {
        "budgets:write",
        "budgets:ask",
        "reviews:decide",
        "prices:write",
        "record:write",
        "alerts:write",
    },
    "iam": frozenset(
        {
            "organization:read",
            "scopes:read",
            "scopes:write",
            "keys:read",
            "keys:write",
            "audit:read",
            "members:read",
            "members:write",
        }
    ),
    "platform": _READS - {"members:read", "audit:read"}
    | {
        "organization:freeze",
        "settings:write",
        "budgets:ask",
        "keys:write",
        "policies:write",
        "reviews:decide",
        "providers:write",
        "sidecars:write",
        "alerts:write",
    },
    "auditor": _READS,
    "manager": frozenset(
        {
            "keys:read",
            "budgets:read",
            "budgets:ask",
            "reviews:read",
            "reviews:decide",
            "spend:read",
        }
    ),
    "employee": frozenset(
        {"keys:read", "budgets:read", "budgets:ask", "reviews:read", "spend:read"}
    ),
}
SCOPED: Final = frozenset({"manager", "employee"})
"""Roles that see only what is theirs."""


def may_everywhere(roles: Iterable[str], capability: str) -> bool:
    """A role that is not scoped has the capability."""
    return any(capability in ROLES[role] for role in roles if role not in SCOPED)


def may_within(roles: Iterable[str], capability: str) -> bool:
    """Any role has it, if only over what is the caller's own."""
    return any(capability in ROLES[role] for role in roles)


def held(roles: Iterable[str]) -> list[str]:
    """All capabilities of these roles, in the table's order."""
    own = list(roles)
    return [name for name in CAPABILITIES if may_within(own, name)]
