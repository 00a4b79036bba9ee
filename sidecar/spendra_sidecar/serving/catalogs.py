"""A provider's list of models, less those that the key may not use."""

from typing import Any, Final

import msgspec

from spendra._hot import Inspected, Principal, inspect
from spendra_sidecar.snapshots.live import Live

_LISTS: Final = ("data", "models")
_NAMES: Final = ("id", "name")
_HIDDEN: Final = frozenset(("model_not_allowed", "provider_not_allowed"))
_ANY: Final[Inspected] = inspect(b'{"messages":[],"max_tokens":1}', "openai_chat")


def allowed(body: bytes, live: Live, principal: Principal, provider: str) -> bytes:
    """The same list with fewer models; what is no such list stays as it came."""
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body
    name = next((name for name in _LISTS if isinstance(_member(found, name), list)), None)
    if name is None:
        return body
    kept = [model for model in found[name] if _may_use(model, live, principal, provider)]
    if len(kept) == len(found[name]):
        return body
    return msgspec.json.encode({**found, name: kept})


def _may_use(listed: Any, live: Live, principal: Principal, provider: str) -> bool:
    names = [_member(listed, name) for name in _NAMES]
    model = next((name for name in names if isinstance(name, str)), None)
    if model is None:
        return True
    decision = live.policies.decide(
        principal, _ANY, live.prices, provider=provider, facts={}, now_ms=0,
        model=model.removeprefix("models/"),
    )  # fmt: skip
    return decision.reason not in _HIDDEN


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
