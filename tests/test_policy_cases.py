"""The policy cases through the Rust extension, and both against the oracle."""

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spendra import _hot
from spendra.scopes import KEY_DIMENSIONS, LABEL_PREFIX, REQUEST_DIMENSIONS
from tests import policy_oracle
from tests.policy_oracle import Json

PEPPER = b"a pepper of the tests"
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FILES = sorted((Path(__file__).parent / "policy_cases").glob("*.json"))


def load(file: Path) -> Json:
    loaded: Json = json.loads(file.read_text("utf-8"))
    return loaded


CASES = [
    pytest.param(loaded["segment"], loaded["prices"], case, id=f"{file.stem}: {case['name']}")
    for file in FILES
    for loaded in [load(file)]
    for case in loaded["cases"]
]


def encoded(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def base62(number: int) -> str:
    letters = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        letters = BASE62[digit] + letters
    return letters


def principal(key: Json) -> _hot.Principal:
    """The key of a case, presented as a caller would."""
    open_text = f"spd_{key['environment']}_{key['id']}_{'0' * 32}"
    text = open_text + base62(zlib.crc32(open_text.encode()))
    record = {**key, "state": "active", "hashes": [{"hash": _hot.hash_key(text, PEPPER)}]}
    shard = _hot.KeyShard.load(encoded({"keys": [record]}))
    found = _hot.KeyRing([shard], PEPPER).authenticate(text, 0)
    assert isinstance(found, _hot.Principal)
    return found


def usd_per_million(nanousd: int) -> str:
    return f"{nanousd // 1000}.{nanousd % 1000:03d}"


def price_book(prices: Json) -> _hot.PriceBook:
    """A catalog in which the models of a case have one rate for input and one for output."""
    models: dict[str, list[Json]] = {}
    for name, price in prices.items():
        provider, _, model = name.partition("/")
        rates = {
            "input_mtok": usd_per_million(price["input_nanousd"]),
            "output_mtok": usd_per_million(price["output_nanousd"]),
        }
        limits = {limit: price[limit] for limit in ("context_window", "max_output")}
        entry = {"id": model, "match": {"equals": model}, "prices": [{"rates": rates}], **limits}
        models.setdefault(provider, []).append(entry)
    providers = [{"id": provider, "models": found} for provider, found in models.items()]
    return _hot.PriceBook.load(encoded({"version": "flat", "providers": providers}))


def decide(segment: Json, prices: Json, case: Json) -> _hot.Decision:
    return _hot.PolicyTree.load(encoded(segment)).decide(
        principal(case["key"]),
        _hot.inspect(encoded(case["body"]), case["dialect"]),
        price_book(prices),
        provider=case["provider"],
        facts=case["facts"],
        now_ms=0,
        body_tokens=case.get("body_tokens"),
        closed=case.get("closed", []),
        granted_nanousd=case.get("granted_nanousd"),
        affordable_output=case.get("affordable_output"),
    )


def written(decision: _hot.Decision) -> Json:
    """A decision as the cases write it."""
    plain = (
        "reason",
        "budgets",
        "output_cap",
        "write_cap",
        "input_bound_tokens",
        "estimated_input_tokens",
        "estimated_nanousd",
        "reserved_nanousd",
        "reserved_input_nanousd",
        "most_tokens",
    )
    return {
        **{name: getattr(decision, name) for name in plain},
        "reasons": [[r.policy_id, r.rule, r.verdict] for r in decision.reasons],
        "limits": [list(limit) for limit in decision.limits],
        "price_version": decision.price_version.partition(":")[0],
        "facts": json.loads(decision.facts),
    }


@pytest.mark.parametrize(("segment", "prices", "case"), CASES)
def test_the_extension_decides_each_case_as_expected(
    segment: Json, prices: Json, case: Json
) -> None:
    decision = decide(segment, prices, case)
    found = written(decision)
    assert {name: found[name] for name in case["expect"]} == case["expect"]
    assert decision.allowed == (decision.reason == "") == (decision.message == "")


@pytest.mark.parametrize(("segment", "prices", "case"), CASES)
def test_the_oracle_decides_each_case_as_expected(segment: Json, prices: Json, case: Json) -> None:
    found = policy_oracle.decide(segment, prices, case)
    assert {name: found[name] for name in case["expect"]} == case["expect"]


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


NAMES = st.sampled_from(["alpha", "beta", "gpt-4", "gpt-5"])
GLOBS = st.lists(st.sampled_from(["*", "gpt-*", "gpt-?", "alpha", "?pha", "x*"]), max_size=2)
VENDOR_GLOBS = st.lists(st.sampled_from(["openai", "o*", "alpha", "b?ta"]), max_size=2)
TOOL_GLOBS = st.lists(st.sampled_from(["*", "f", "m?p", "web*"]), max_size=2)
# Few numbers, so that limits meet exactly.
TOKENS = st.sampled_from([1, 16, 40, 64, 200])
COUNTS = optional(TOKENS)
AMOUNTS = optional(st.integers(0, 5000))
SELECTED = ("project", "team", "model", "run", "label:feature", "key", "provider")
SELECTORS = st.dictionaries(
    st.sampled_from(SELECTED), st.lists(NAMES, min_size=1, max_size=2), max_size=2
)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "models_allow": optional(GLOBS),
        "models_deny": optional(GLOBS),
        "providers_allow": optional(GLOBS),
        "providers_deny": optional(GLOBS),
        "vendors_allow": optional(VENDOR_GLOBS),
        "vendors_deny": optional(VENDOR_GLOBS),
        "tools_allow": optional(TOOL_GLOBS),
        "tools_deny": optional(TOOL_GLOBS),
        "required_labels": optional(
            st.lists(st.sampled_from(["feature", "size", "run"]), max_size=2)
        ),
        "labels_allow": optional(
            st.dictionaries(st.sampled_from(["feature", "size"]), GLOBS, max_size=2)
        ),
        "max_input_tokens": COUNTS,
        "max_output_tokens": COUNTS,
        "max_request_nanousd": AMOUNTS,
        "requests_per_minute": COUNTS,
        "tokens_per_minute": optional(st.sampled_from([16, 200, 1000])),
        "max_concurrency": COUNTS,
        "default_output_tokens": COUNTS,
        "fit_output_to_budget": COUNTS,
        "environments_allow": optional(
            st.lists(st.sampled_from(["prod", "p*", "dev"]), max_size=2)
        ),
        "routing": optional(
            st.fixed_dictionaries(
                {
                    "mode": st.sampled_from(["observe", "enforce"]),
                    "routes": st.lists(
                        st.fixed_dictionaries({"models": GLOBS, "instead": st.just(["gpt-4"])}),
                        max_size=2,
                    ),
                }
            )
        ),
        "review_above_nanousd": AMOUNTS,
        "review": st.sampled_from([None, "block", "flag"]),
    },
)
BUDGET = {"period": "day", "timezone": "UTC", "limit_nanousd": 1, "kind": "hard", "version": 1}


@st.composite
def segments(draw: st.DrawFn) -> Json:
    selectors = draw(st.lists(SELECTORS, max_size=3))
    policies = draw(st.lists(st.tuples(SELECTORS, RULES), max_size=3))
    return {
        "budgets": [
            {"id": f"bud_{n}", "name": "b", "selector": selector, **BUDGET}
            for n, selector in enumerate(selectors)
        ],
        "policies": [
            {"id": f"pol_{n}", "name": "p", "selector": selector, "rules": rules}
            for n, (selector, rules) in enumerate(policies)
        ],
        "default_output_tokens": draw(TOKENS),
    }


PARTS = st.sampled_from(
    ["hi", "é" * 900, [{"type": "text", "text": "hi"}], [{"type": "image_url", "image_url": {}}]]
)
MESSAGES = st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": PARTS}), max_size=2)
MODELS = st.sampled_from(["gpt-4", "gpt-5", "gpt-6"])
TOOLS = st.sampled_from(
    [
        [],
        [{"type": "function", "name": "f"}],
        [{"type": "mcp"}, {"type": "function", "function": {"name": "webby"}}],
    ]
)
LABELS = st.dictionaries(st.sampled_from(["feature", "size"]), NAMES | st.integers())
CHOICES = optional(st.integers(1, 5))
CHATS = st.fixed_dictionaries(
    {"messages": MESSAGES, "model": MODELS},
    optional={
        "metadata": optional(LABELS),
        "tools": optional(TOOLS),
        "n": CHOICES,
        "max_tokens": COUNTS,
        "max_output_tokens": COUNTS,
    },
)
RESPONSES = st.fixed_dictionaries(
    {"input": NAMES | MESSAGES, "model": MODELS},
    optional={
        "max_output_tokens": COUNTS,
        "max_tokens": COUNTS,
        "previous_response_id": optional(NAMES),
    },
)
COMPLETIONS = st.fixed_dictionaries(
    {"prompt": NAMES | st.lists(NAMES, min_size=1, max_size=3), "model": MODELS},
    optional={"max_tokens": COUNTS, "n": CHOICES, "best_of": CHOICES},
)
NAMELESS = st.fixed_dictionaries({"messages": MESSAGES}, optional={"model": st.none()})
PRICES = st.dictionaries(
    st.sampled_from(["alpha/gpt-4", "alpha/gpt-5", "xai/gpt-4", "xai/gpt-5"]),
    st.fixed_dictionaries(
        {
            "input_nanousd": st.integers(0, 20),
            "output_nanousd": st.integers(0, 20),
            "context_window": optional(st.sampled_from([0, 40, 228, 400])),
            "max_output": optional(st.sampled_from([0, 40, 300])),
        }
    ),
    min_size=2,
)
KEYS = st.fixed_dictionaries(
    {
        "id": st.just("key000000001"),
        "name": st.just("k"),
        "environment": st.just("prod"),
        "scope": st.dictionaries(
            st.sampled_from(["team", "project"]), st.lists(NAMES, max_size=2, unique=True)
        ),
    },
    optional={
        "models": optional(GLOBS),
        "providers": optional(GLOBS),
        "tools": optional(GLOBS),
        "delegated_from": st.lists(st.sampled_from(["key0", "key1"]), max_size=2, unique=True),
        "max_request_nanousd": AMOUNTS,
    },
)
HEADERS = st.dictionaries(
    st.sampled_from(["project", "team", "run", "label:feature", "model"]),
    NAMES | st.just(""),
    max_size=2,
)
CALLS = st.fixed_dictionaries(
    {
        "key": KEYS,
        "provider": st.sampled_from(["alpha", "xai"]),
        "dialect": st.just("openai"),
        "facts": HEADERS,
        "body": st.one_of(CHATS, CHATS, RESPONSES, COMPLETIONS, NAMELESS),
    },
    optional={
        "body_tokens": st.integers(0, 300),
        "closed": st.lists(st.sampled_from(["pol_0", "pol_2"]), unique=True),
        "granted_nanousd": st.integers(0, 5000),
        "affordable_output": TOKENS,
    },
)


@settings(max_examples=400, deadline=None)
@given(segments(), PRICES, CALLS)
def test_the_extension_and_the_oracle_agree(segment: Json, prices: Json, case: Json) -> None:
    found = written(decide(segment, prices, case))
    assert found == policy_oracle.decide(segment, prices, case)


def test_a_selector_may_name_each_dimension_and_no_other() -> None:
    def segment(dimension: str) -> bytes:
        policy = {"id": "p", "name": "p", "selector": {dimension: ["x"]}, "rules": {}}
        return encoded({"budgets": [], "policies": [policy], "default_output_tokens": 1})

    for dimension in (*KEY_DIMENSIONS, *REQUEST_DIMENSIONS, f"{LABEL_PREFIX}x"):
        _hot.PolicyTree.load(segment(dimension))
    with pytest.raises(ValueError, match="is not a dimension"):
        _hot.PolicyTree.load(segment("planet"))
