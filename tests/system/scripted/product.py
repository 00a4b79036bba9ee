"""A running product whose providers answer from scripts, and requests through it."""

import itertools
import json
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.system.conftest import System
from tests.system.scripted.upstream import Answer, Asked, Upstream
from tests.system.sdks.project import Project, project

UPSTREAM_KEY = "sk-of-the-provider"
SAY = [{"role": "user", "content": "Is water wet?"}]
CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": SAY, "max_tokens": 100}


@dataclass
class Product:
    system: System
    upstream: Upstream
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def route(self, kind: str, *answers: Answer, **more: Any) -> str:
        """A route of its own, whose provider answers so; its name."""
        name = f"{kind}-{next(self.numbers)}"
        self.upstream.script(name, *answers)
        record = {"base_url": f"{self.upstream.url}/{name}", "kind": kind}
        self.system.put_route(name, {**record, "credential": UPSTREAM_KEY, **more})
        return name

    def project(self, limit_usd: str = "50", rules: dict[str, Any] | None = None) -> Project:
        made = project(self.system, limit_usd=limit_usd)
        if rules is not None:
            policy = {"name": made.name, "scope": {"project": made.name}, "rules": rules}
            self.system.ask("POST", "/v1/policies", policy)
        return made

    def post(
        self, path: str, body: object, at: Project | None = None, **headers: str
    ) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        known = {"x-spendra-key": at.key if at else self.system.up["api_key"]}
        url = f"{self.system.up['sidecar_url']}{path}"
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = {"content-type": "application/json"}
        return httpx.post(url, content=content, headers=kind | known | named, timeout=60)

    def ended(self, answer: httpx.Response) -> dict[str, Any]:
        """The decision on what was answered so, once it has its outcome."""
        return self.system.ended(answer.headers["x-spendra-decision-id"])

    def booked(self, path: str, body: object) -> dict[str, Any]:
        """The decision on a request that is answered well, in a project of its own."""
        at = self.project()
        answer = self.post(path, body, at)
        assert answer.status_code == 200, answer.text
        decision = self.ended(answer)
        assert decision["state"] == "posted"
        assert at.settled() == decision["cost_nanousd"]
        assert decision["cost_nanousd"] <= decision["reserved_nanousd"]
        return decision

    def one_asked(self, name: str) -> Asked:
        (asked,) = self.upstream.asked(name)
        return asked
