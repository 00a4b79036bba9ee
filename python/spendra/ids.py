"""Identifiers. Clock and randomness are the caller's."""

from uuid import UUID

_ALPHABET = "0123456789abcdefghijkmnpqrstuvwxyz"


def uuid7(now_ms: int, random: bytes) -> UUID:
    """Time-ordered UUID (RFC 9562, version 7) from Unix milliseconds and 10 random bytes."""
    tail = int.from_bytes(random[:10])
    rand_a, rand_b = (tail >> 62) & 0xFFF, tail & ((1 << 62) - 1)
    return UUID(int=(now_ms << 80) | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b)


def name_id(prefix: str, random: bytes) -> str:
    """A short readable id such as `bud_4kq0z…`: prefix and 16 characters of 10 random bytes."""
    number = int.from_bytes(random[:10])
    letters = []
    for _ in range(16):
        number, digit = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[digit])
    return f"{prefix}_{''.join(letters)}"


def account_id(budget_id: str, window_start_s: int) -> str:
    """The account of a budget in the window that starts at this Unix second."""
    return f"{budget_id}@{window_start_s}"
