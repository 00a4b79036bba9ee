"""True token counts: what a provider would bill."""

from spendra._hot import count_chat_tokens, count_tokens

__all__ = ["count_chat_tokens", "count_tokens"]
