"""Context windows and largest outputs of models, from a file of facts kept elsewhere."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from genai_prices import types as genai

PROVIDERS = {
    "azure": "azure",
    "anthropic": "anthropic",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "groq": "groq",
    "mistral": "mistral",
    "moonshot": "moonshotai",
    "openai": "openai",
    "perplexity": "perplexity",
    "together_ai": "together",
    "vertex_ai-anthropic_models": "google",
    "vertex_ai-language-models": "google",
    "xai": "x-ai",
    "zai": "zai",
}
"""The limits file's provider names, as genai-prices names them."""


@dataclass(frozen=True)
class Limit:
    """`names`: as the provider calls it, with and without a publisher before it."""

    names: frozenset[str]
    context: int | None
    output: int | None


class Limits:
    def __init__(self, by_provider: dict[str, list[Limit]], digest: str) -> None:
        self.digest = digest
        self._by_provider = by_provider
        self._by_name = {
            name: limit
            for limits in by_provider.values()
            for limit in limits
            for name in sorted(limit.names)
        }

    @classmethod
    def read(cls, raw: bytes) -> "Limits":
        """From JSON: model name to `litellm_provider`, `max_output_tokens`, `max_input_tokens`."""
        by_provider: dict[str, list[Limit]] = {}
        for key, facts in sorted(json.loads(raw).items()):
            provider = PROVIDERS.get(facts.get("litellm_provider", ""))
            if provider is not None:
                limit = Limit(
                    names=frozenset({key.lower(), *_tails(key.lower())}),
                    context=_whole(facts.get("max_input_tokens")),
                    output=_whole(facts.get("max_output_tokens")),
                )
                by_provider.setdefault(provider, []).append(limit)
        return cls(by_provider, hashlib.sha256(raw).hexdigest())

    def of(self, provider_id: str, model: genai.ModelInfo) -> tuple[int | None, int | None]:
        """Context window and largest output: the model's own, else the largest of its names'."""
        limits = list(self._of_names(provider_id, model))
        context = [limit.context for limit in limits if limit.context]
        output = [limit.output for limit in limits if limit.output]
        return max(context, default=None), max(output, default=None)

    def _of_names(self, provider_id: str, model: genai.ModelInfo) -> Iterator[Limit]:
        known = self._by_provider.get(provider_id, [])
        exact = [limit for limit in known if model.id.lower() in limit.names]
        yield from exact or [limit for limit in known if any(map(model.is_match, limit.names))]
        if not known and provider_id == "openrouter":
            name = model.id.rsplit("/", maxsplit=1)[-1].split(":", maxsplit=1)[0]
            yield from [self._by_name[name]] if name in self._by_name else []


def _tails(key: str) -> list[str]:
    """What stands behind each slash: limits files put providers and regions before names."""
    parts = key.split("/")
    return ["/".join(parts[start:]) for start in range(1, len(parts))]


def _whole(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None
