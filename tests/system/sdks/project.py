"""A scope of its own for each test, and a client of an SDK in it."""

import contextlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.system.conftest import System, eventually
from tests.system.sdks.driver import Driver, Sdk, Target, ToldError
from tests.system.sdks.typescript_node import NodeError

_numbers = itertools.count(1)


@dataclass
class Project:
    """A scope of its own, with a key and a budget: all that happens in it is one test's."""

    system: System
    name: str
    key: str
    budget_id: str

    def settled(self) -> int:
        return int(self.system.drained(self.budget_id)["settled_nanousd"])

    def items(self) -> list[dict[str, Any]]:
        """Ended reservations, once nothing is held."""
        self.system.drained(self.budget_id)
        found: list[dict[str, Any]] = self.system.ask(
            "GET", f"/v1/ledger?scope=project={self.name}"
        )["items"]
        return found

    def one_item(self) -> dict[str, Any]:
        """The only settlement: balanced in the books, and what the budget shows."""
        looked = eventually(lambda: {"items": self.items()}, lambda found: bool(found["items"]))
        (item,) = looked["items"]
        amounts = sorted(entry["amount_nanousd"] for entry in item["entries"])
        assert amounts == [-item["cost_nanousd"], item["cost_nanousd"]]
        assert self.settled() == item["cost_nanousd"]
        return dict(item)


def project(system: System, *, limit_usd: str = "5", **key: Any) -> Project:
    scope = {"project": f"sdk-{os.getpid()}-{next(_numbers)}"}
    budget = system.new_budget(scope, limit_usd)
    made = system.new_key(scope, **key)
    return Project(system, scope["project"], made["key"], budget["id"])


@contextlib.contextmanager
def driver(sdk: Sdk, at: Project, words: str = "", retries: int | None = None) -> Iterator[Driver]:
    if reason := sdk.missing():
        pytest.skip(reason)
    url = f"{at.system.up['sidecar_url']}{sdk.path}"
    made = sdk.make(Target(url, at.key, {"x-simulate": words}, retries))
    try:
        yield made
    finally:
        made.close()


def is_raised(error: BaseException, expected: type[Exception] | str) -> bool:
    if isinstance(expected, str):
        return isinstance(error, NodeError) and expected in error.names
    return isinstance(error, expected)


def raised_name(error: BaseException) -> str:
    if isinstance(error, ToldError):
        return "nothing"
    return error.names[0] if isinstance(error, NodeError) else type(error).__name__


def reached(system: System) -> int:
    """How many requests have reached the provider."""
    return int(system.provider()["total"])
