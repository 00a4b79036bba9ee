"""Money in answers: an integer of nano-USD, and the same as a decimal string of dollars."""

from spendra.money import nanousd_to_usd


def amount(name: str, nanousd: int | None) -> dict[str, int | str | None]:
    """`{"<name>_nanousd": ..., "<name>_usd": ...}`.

    >>> amount("limit", 1_500_000_000)
    {'limit_nanousd': 1500000000, 'limit_usd': '1.50'}
    """
    usd = None if nanousd is None else nanousd_to_usd(nanousd)
    return {f"{name}_nanousd": nanousd, f"{name}_usd": usd}
