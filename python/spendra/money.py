"""Money is integer nano-USD (10^-9 USD), never float. Dollars appear only as decimal strings."""

from decimal import Context, Decimal, Inexact, InvalidOperation

NANOUSD_PER_USD = 1_000_000_000
MAX_NANOUSD = 2**63 - 1
SMALLEST_USD = Decimal("0.000000001")
_EXACT = Context(prec=64, traps=[Inexact, InvalidOperation])
MAX_AMOUNT_NANOUSD = 2**53 - 1
"""Largest single reservation or cost: Lua compares amounts as doubles, exact up to here."""


def usd_to_nanousd(usd: str | int | Decimal) -> int:
    """Nano-USD of a decimal amount of dollars, exactly.

    Raises ValueError for a float, a non-number, more than nine decimals or an amount
    outside 64 bits.
    """
    if isinstance(usd, float):
        msg = f"give dollars as a decimal string such as '12.50', not the float {usd!r}"
        raise ValueError(msg)  # noqa: TRY004 - one error type for every bad amount
    try:
        dollars = Decimal(usd)
    except (InvalidOperation, TypeError):
        msg = f"{usd!r} is not an amount of dollars; write it like '12.50'"
        raise ValueError(msg) from None
    if not dollars.is_finite() or abs(dollars) > MAX_NANOUSD // NANOUSD_PER_USD:
        msg = f"{usd!r} is outside the range of amounts (about 9.2 billion dollars)"
        raise ValueError(msg)
    try:
        return int(dollars.quantize(SMALLEST_USD, context=_EXACT).scaleb(9, context=_EXACT))
    except Inexact:
        msg = f"{usd!r} has more than nine decimals; the smallest amount is 0.000000001"
        raise ValueError(msg) from None


def nanousd_to_usd(nanousd: int) -> str:
    """Decimal string of an amount, without exponent and without trailing zeros beyond cents.

    >>> nanousd_to_usd(1_500_000_000)
    '1.50'
    >>> nanousd_to_usd(-37)
    '-0.000000037'
    """
    sign = "-" if nanousd < 0 else ""
    dollars, rest = divmod(abs(nanousd), NANOUSD_PER_USD)
    decimals = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}{dollars}.{decimals}"
