"""Decisions as the documentation words them: slow, obvious, and written without the Rust.

Amounts are nano-USD. A case is an entry of `policy_cases/*.json`; prices map `provider/model`
to one rate for input and one for output.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn, TypeAlias

Json: TypeAlias = dict[str, Any]

MEDIA = {
    "image_url", "input_image", "image_file", "image", "input_audio", "audio", "audio_url",
    "video", "video_url", "input_video", "file", "input_file", "document",
    "computer_screenshot", "container_upload",
}  # fmt: skip
MEDIA_KEYS = {"image_url", "input_audio", "inlineData", "inline_data", "fileData", "file_data"}
CONVERSATION = ("messages", "input", "prompt")
DIMENSIONS = {
    "agent", "cost_center", "environment", "key", "model", "person", "project", "provider", "run",
    "team", "tier",
}  # fmt: skip
MAX_AMOUNT_NANOUSD = 2**53 - 1
WITH_TOOLS = {
    "anthropic": 550, "deepseek": 290, "xai": 170, "azure": 160, "groq": 150, "openrouter": 130,
    "mistral": 60,
}  # fmt: skip
ALWAYS = {"xai": 150}


class Refused(Exception):  # noqa: N818 - an outcome, not an error
    """Nothing after this is judged. Carries the code."""


class Oracle:
    """One decision. `outcome` holds what a case's `expect` may name."""

    def __init__(self, segment: Json, prices: Json, case: Json) -> None:
        self.segment, self.prices, self.case = segment, prices, case
        self.body: Json = case["body"]
        self.key: Json = case["key"]
        self.facts: dict[str, list[str]] = {}
        self.outcome: Json = {
            "reason": "", "reasons": [], "budgets": [], "limits": [], "output_cap": None,
            "write_cap": False, "input_bound_tokens": 0, "estimated_input_tokens": 0,
            "estimated_nanousd": 0, "reserved_nanousd": 0, "reserved_input_nanousd": 0,
            "most_tokens": 0,
            "price_version": "", "facts": {},
        }  # fmt: skip

    def decide(self) -> Json:
        conflict = self._gather()
        matching = [p for p in self.segment["policies"] if self._matches(p["selector"])]
        self.policies = matching
        self.outcome["facts"] = self.facts
        self.outcome["budgets"] = [
            n for n, b in enumerate(self.segment["budgets"]) if self._matches(b["selector"])
        ]
        try:
            self._judge(conflict=conflict)
        except Refused as refused:
            self.outcome["reason"] = str(refused)
        return self.outcome

    def _judge(self, *, conflict: bool) -> None:
        if conflict:
            self._refuse("scope_conflict")
        if "model" not in self.facts:
            self._refuse("model_missing")
        self._stop_at_first(self._names())
        name = f"{self.case['provider']}/{self.facts['model'][0]}"
        if name not in self.prices:
            self._refuse("unpriced_model")
        self.price = self.prices[name]
        self.outcome["price_version"] = "flat"
        self._stop_at_first(self._input())
        refusals = [*self._cap(), *self._amounts()]
        self._stop_at_first([*refusals, *self._reviews(refused=bool(refusals))])

    def _stop_at_first(self, refusals: "Iterator[str] | list[str]") -> None:
        """Every rule of a stage speaks before the first refusal ends it."""
        for refusal in list(refusals)[:1]:
            self._refuse(refusal)

    def _refuse(self, code: str) -> NoReturn:
        raise Refused(code)

    def _speak(self, speaker: str, rule: str, verdict: str) -> None:
        self.outcome["reasons"].append([speaker, rule, verdict])

    # facts

    def _gather(self) -> bool:
        self.facts = {name: list(values) for name, values in self.key["scope"].items() if values}
        self.facts["key"] = [self.key["id"], *self.key.get("delegated_from", [])]
        self.facts["environment"] = [self.key["environment"]]
        self.facts["provider"] = [self.case["provider"]]
        if self.body.get("model") is not None:
            self.facts["model"] = [self.body["model"]]
        conflict = False
        for name, value in self.case["facts"].items():
            if value and name not in self.facts:
                self.facts[name] = [value]
            elif value and value not in self.facts[name]:
                conflict = True
        for name, value in (self.body.get("metadata") or {}).items():
            if isinstance(value, str) and name:
                self.facts.setdefault(f"label:{name}", [value])
        return conflict

    def _matches(self, selector: dict[str, list[str]]) -> bool:
        return all(
            any(
                accepts(wanted, value) if name == "model" else wanted == value
                for wanted in values
                for value in self.facts.get(name, [])
            )
            for name, values in selector.items()
        )

    # names

    def _names(self) -> Iterator[str]:
        model, provider = self.facts["model"][0], self.case["provider"]
        yield from self._allow(self.key["id"], "models", self.key.get("models"), model)
        yield from self._allow(self.key["id"], "providers", self.key.get("providers"), provider)
        for tool in self._tools():
            yield from self._allow(self.key["id"], "tools", self.key.get("tools"), tool)
        for policy in self.policies:
            rules, who = policy["rules"], policy["id"]
            yield from self._deny(who, "models_deny", rules.get("models_deny"), model)
            yield from self._allow(who, "models_allow", rules.get("models_allow"), model)
            yield from self._deny(who, "providers_deny", rules.get("providers_deny"), provider)
            yield from self._allow(who, "providers_allow", rules.get("providers_allow"), provider)
            vendor = "openai" if model.startswith("gpt-") else provider
            yield from self._deny(who, "vendors_deny", rules.get("vendors_deny"), vendor)
            yield from self._allow(who, "vendors_allow", rules.get("vendors_allow"), vendor)
            for tool in self._tools():
                yield from self._deny(who, "tools_deny", rules.get("tools_deny"), tool)
            for tool in self._tools():
                yield from self._allow(who, "tools_allow", rules.get("tools_allow"), tool)
            yield from self._labels(who, rules)
            environments = rules.get("environments_allow")
            yield from self._allow(who, "environments_allow", environments, self.key["environment"])
            if who in self.case.get("closed", []):
                self._speak(who, "hours", "refuse")
                yield "outside_hours"
            routing = rules.get("routing") or {"routes": []}
            if any(accepts(glob, model) for each in routing["routes"] for glob in each["models"]):
                self._speak(who, "routing", "allow")
            for rule in ("requests_per_minute", "tokens_per_minute", "max_concurrency"):
                if (most := rules.get(rule)) is not None:
                    self._speak(who, rule, "limit")
                    self.outcome["limits"].append([rule, who, most])

    def _labels(self, who: str, rules: Json) -> Iterator[str]:
        for label in rules.get("required_labels") or []:
            if f"label:{label}" not in self.facts:
                self._speak(who, "required_labels", "refuse")
                yield "label_missing"
        for label, globs in sorted((rules.get("labels_allow") or {}).items()):
            for value in self.facts.get(f"label:{label}", []):
                yield from self._allow(who, "labels_allow", globs, value)

    def _tools(self) -> Iterator[str]:
        """Those of the caller's by their own name, those of the provider's by their kind."""
        for tool in self.body.get("tools") or []:
            own = tool.get("function", tool) if tool.get("type") == "function" else {}
            yield own.get("name") or tool["type"]

    def _deny(self, who: str, rule: str, globs: list[str] | None, name: str) -> Iterator[str]:
        if any(accepts(glob, name) for glob in globs or []):
            self._speak(who, rule, "refuse")
            yield f"{rule.partition('s')[0]}_not_allowed"

    def _allow(self, who: str, rule: str, globs: list[str] | None, name: str) -> Iterator[str]:
        if globs is None:
            return
        if any(accepts(glob, name) for glob in globs):
            self._speak(who, rule, "allow")
        else:
            self._speak(who, rule, "refuse")
            yield f"{rule.partition('s')[0]}_not_allowed"

    # input

    def _input(self) -> Iterator[str]:
        sent = json.dumps(self.body, separators=(",", ":"), ensure_ascii=False).encode()
        tools = bool(self.body.get("tools"))
        added = WITH_TOOLS if tools else ALWAYS
        estimate = -(-self._text_bytes() // 4) + 7 + added.get(self.case["provider"], 0)
        self.outcome["estimated_input_tokens"] = estimate
        window = self.price["context_window"]
        counted = self.case.get("body_tokens")
        text = len(sent) if counted is None else min(len(sent), counted + 32)
        bound = text + 1024 * tools if self._is_bounded_by_bytes() else window
        if bound is None and self.price["input_nanousd"]:
            yield "input_unbounded"
        self.outcome["input_bound_tokens"] = bound or 0
        tokens = estimate if self._is_bounded_by_bytes() else (bound or 0)
        for who, most in self._said("max_input_tokens"):
            self._speak(who, "max_input_tokens", "allow" if tokens <= most else "refuse")
            if tokens > most:
                yield "input_too_large"

    def _text_bytes(self) -> int:
        return sum(len(v.encode()) for v in values(self.body) if isinstance(v, str))

    def _is_bounded_by_bytes(self) -> bool:
        parts = [v for name in CONVERSATION for v in values(self.body.get(name))]
        objects = [part for part in parts if isinstance(part, dict)]
        media = any(o.get("type") in MEDIA or MEDIA_KEYS & o.keys() for o in objects)
        stored = self.body.get("previous_response_id") or self.body.get("conversation")
        hosted = any(
            "function" not in tool and tool.get("type", "function") not in ("function", "custom")
            for tool in self.body.get("tools") or []
        )
        return not (media or stored or hosted)

    # output

    def _cap(self) -> Iterator[str]:
        if self.case["dialect"] == "openai_embeddings" or self.price["max_output"] == 0:
            return
        limit, implied = self._limit()
        asked = limit if limit is not None else implied
        ceilings = []
        for who, most in self._said("max_output_tokens"):
            fits = asked is not None and asked <= most
            self._speak(who, "max_output_tokens", "allow" if fits else "limit")
            ceilings.append(most)
        if asked is None and not ceilings and self.price["output_nanousd"] == 0:
            return
        wanted = asked if asked is not None else self._default()
        caps = [wanted, *ceilings, self.price["max_output"], self._remaining_context()]
        cap = min(cap for cap in caps if cap is not None)
        cap = self._fitted(cap)
        self.outcome["output_cap"], self.outcome["write_cap"] = cap, cap != limit
        if cap == 0 and wanted > 0:
            yield "input_too_large"

    def _fitted(self, cap: int) -> int:
        room, said = self.case.get("affordable_output"), self._said("fit_output_to_budget")
        if room is None or room >= cap or not said:
            return cap
        least = max(least for _, least in said)
        if room < least:
            return cap
        speaker = [who for who, number in said if number == least][-1]
        self._speak(speaker, "fit_output_to_budget", "limit")
        return int(room)

    def _limit(self) -> tuple[int | None, int | None]:
        """The caller's limit, and the provider's for a caller who sets none."""
        if "messages" in self.body or not {"input", "prompt"} & self.body.keys():
            new = self.body.get("max_completion_tokens")
            return (new if new is not None else self.body.get("max_tokens")), None
        if "input" in self.body:
            return self.body.get("max_output_tokens"), None
        return self.body.get("max_tokens"), 16

    def _default(self) -> int:
        said = list(self._said("default_output_tokens"))
        if not said:
            said = [("default", self.segment["default_output_tokens"])]
        for who, _ in said:
            self._speak(who, "default_output_tokens", "limit")
        return min(default for _, default in said)

    def _remaining_context(self) -> int | None:
        window: int | None = self.price["context_window"]
        if window is None or not self._is_bounded_by_bytes():
            return window
        return max(0, window - self._text_bytes() // 8)

    # amounts

    def _amounts(self) -> Iterator[str]:
        choices = max(self.body.get("n") or 1, self.body.get("best_of") or 1)
        if isinstance(self.body.get("prompt"), list):
            choices *= max(1, len(self.body["prompt"]))
        output = (self.outcome["output_cap"] or 0) * choices
        for_output = self.price["output_nanousd"] * output
        for_input = self.price["input_nanousd"] * self.outcome["input_bound_tokens"]
        estimated = self.price["input_nanousd"] * self.outcome["estimated_input_tokens"]
        self.outcome["estimated_nanousd"] = min(estimated + for_output, 2**64 - 1)
        worst = min(for_input + for_output, 2**64 - 1)
        self.outcome["reserved_nanousd"] = worst
        self.outcome["reserved_input_nanousd"] = for_input
        most_of_key = self.key.get("max_request_nanousd")
        said = [] if most_of_key is None else [(self.key["id"], most_of_key)]
        said += self._said("max_request_nanousd")
        if worst > MAX_AMOUNT_NANOUSD:
            said.append(("default", MAX_AMOUNT_NANOUSD))
        for who, most in said:
            self._speak(who, "max_request_nanousd", "allow" if worst <= most else "refuse")
            if worst > most:
                yield "request_too_expensive"
        self.outcome["most_tokens"] = self.outcome["input_bound_tokens"] + output
        for who, most in self._said("tokens_per_minute"):
            if self.outcome["most_tokens"] > most:
                self._speak(who, "tokens_per_minute", "refuse")
                yield "tokens_over_limit"

    def _reviews(self, *, refused: bool) -> Iterator[str]:
        cost, granted = self.outcome["reserved_nanousd"], self.case.get("granted_nanousd")
        for who, above in self._said("review_above_nanousd"):
            policy = next(policy for policy in self.policies if policy["id"] == who)
            if cost <= above:
                continue
            if policy["rules"].get("review") == "flag":
                self._speak(who, "review_above_nanousd", "flag")
            elif granted is not None and cost <= granted:
                self._speak(who, "review_above_nanousd", "allow")
            elif not refused:
                self._speak(who, "review_above_nanousd", "refuse")
                refused = True
                yield "review_required"

    def _said(self, rule: str) -> list[tuple[str, int]]:
        """Each matching policy that says something about this, with what it says."""
        said = [(policy["id"], policy["rules"].get(rule)) for policy in self.policies]
        return [(who, number) for who, number in said if number is not None]


def decide(segment: Json, prices: Json, case: Json) -> Json:
    return Oracle(segment, prices, case).decide()


def accepts(glob: str, name: str) -> bool:
    pattern = re.escape(glob).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(pattern, name, re.DOTALL) is not None


def values(json_value: object) -> Iterator[object]:
    """The value itself and all values within it."""
    yield json_value
    if isinstance(json_value, dict):
        inner: list[object] = list(json_value.values())
    else:
        inner = json_value if isinstance(json_value, list) else []
    for value in inner:
        yield from values(value)
