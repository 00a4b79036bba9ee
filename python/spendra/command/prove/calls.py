"""Who calls: many at once, with a key and a budget of their own for each burst."""

import asyncio
import itertools
import time
from decimal import Decimal
from typing import Any, Final, NamedTuple, Self

import httpx

from spendra.command.prove.product import Product

_BODY: Final[dict[str, Any]] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Prove it."}],
    "max_tokens": 16_000,
}
"""Its output is what it costs: near a cap the input is held by a closer count, and the number of
calls that fit must not depend on that."""
_PATIENCE_S: Final = 120.0
_LOST_AFTER_S: Final = 3
_NO_HINDRANCE_USD: Final = "1000000"
_CLIENTS: Final = 40
"""A pool of many connections takes the square of their number in time (httpx 0.28)."""
_OK: Final = 200


def provider_delay_ms(calls: int) -> int:
    """Long enough that all that is admitted is held at the same time, on a slow machine too."""
    return 1500 + 6 * calls


class Answers(NamedTuple):
    """`statuses`: 0 for a call whose connection died. `at_once`: whether the last call was decided
    before the first admitted one ended, so that no more can have been admitted than fit."""

    statuses: list[int]
    at_once: bool


class Budget(NamedTuple):
    id: str
    key: str
    key_id: str
    limit_nanousd: int


class Callers:
    """Use as a context. `other_key` is under none of the bursts' budgets."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._running = product.running
        headers = {"authorization": f"Bearer {self._running.admin_token}"}
        self._admin = httpx.AsyncClient(
            base_url=self._running.control_plane_url, headers=headers, timeout=_PATIENCE_S
        )
        self._clients = [_client() for _ in range(_CLIENTS)]
        self._turns = itertools.cycle(self._clients)
        self._serial = itertools.count(1)
        self.other_key = ""

    async def __aenter__(self) -> Self:
        made = await self._tell(
            "POST", "/v1/keys", {"name": "proof", "scope": {"project": "proof"}}
        )
        self.other_key = made["key"]
        # Of our organization only: what a killed sidecar held is to end while we watch.
        rule = {"rule": "worst_case", "after_s": _LOST_AFTER_S}
        await self._tell("PUT", "/v1/settings/lost", rule)
        # The budget of a first start is none of the proof's.
        path, wide = f"/v1/budgets/{self._running.budget_id}", {"limit_usd": _NO_HINDRANCE_USD}
        await self._tell("PATCH", path, wide)
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients:
            await client.aclose()
        await self._admin.aclose()

    async def budget_for(self, calls: int) -> Budget:
        """A budget that has room for exactly so many of our calls, and a key under it."""
        scope = {"project": f"proof-{next(self._serial)}"}
        key = await self._tell("POST", "/v1/keys", {"name": scope["project"], "scope": scope})
        one = await self._worst_case(key["key"])
        # It is made afterwards, and starts from what the first call has cost.
        limit = calls * one.reserved_nanousd + one.reserved_nanousd // 2 + one.cost_nanousd
        body = {"name": scope["project"], "scope": scope, "period": "none", "kind": "hard"}
        usd = str(Decimal(limit) / 10**9)
        budget = await self._tell("POST", "/v1/budgets", body | {"limit_usd": usd})
        return Budget(budget["id"], key["key"], key["id"], limit)

    async def close(self, budget: Budget) -> None:
        """Nothing of it can be spent afterwards."""
        await self._tell("POST", f"/v1/keys/{budget.key_id}/revoke", {})

    async def call(self, key: str, count: int) -> Answers:
        """So many calls at once, in turn over the sidecars."""
        urls, delay_ms = self._product.running.sidecar_urls, provider_delay_ms(count)
        began, decided_s = time.monotonic(), list[float]()

        async def one(url: str) -> int:
            status = await self.one(url, key, f"delay-ms={delay_ms}")
            waited_s = delay_ms / 1000 if status == _OK else 0.0
            decided_s.append(time.monotonic() - began - waited_s)
            return status

        statuses = await asyncio.gather(*(one(urls[at % len(urls)]) for at in range(count)))
        return Answers(list(statuses), max(decided_s) < delay_ms / 1000)

    async def one(self, url: str, key: str, simulate: str = "delay-ms=0") -> int:
        try:
            return (await self._ask(url, key, simulate)).status_code
        except httpx.TransportError:
            return 0

    async def _ask(self, url: str, key: str, simulate: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}", "x-simulate": simulate}
        return await next(self._turns).post(
            f"{url}/v1/chat/completions", json=_BODY, headers=headers
        )

    async def _worst_case(self, key: str) -> "_Cost":
        answer = await self._ask(self._running.sidecar_urls[0], key, "delay-ms=0")
        answer.raise_for_status()
        decision = answer.headers["x-spendra-decision-id"]
        while True:
            found = await self._tell("GET", f"/v1/decisions/{decision}")
            if found["state"] == "posted":
                return _Cost(found["reserved_nanousd"], found["cost_nanousd"])
            await asyncio.sleep(0.05)

    async def _tell(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """What the control plane answers: once it listens again, if it was killed a moment ago."""
        give_up = time.monotonic() + _PATIENCE_S
        while True:
            try:
                answer = await self._admin.request(method, path, json=body)
                return dict(answer.raise_for_status().json())
            except httpx.ConnectError:
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep(0.1)


def _client() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncClient(limits=limits, timeout=_PATIENCE_S, verify=False)  # noqa: S501 - http


class _Cost(NamedTuple):
    reserved_nanousd: int
    cost_nanousd: int
