"""A token that is presented as `Authorization: Bearer …`, compared in constant time."""

import hmac

_SCHEME = "bearer "


def bears(header: str | None, token: str) -> bool:
    """Whether a header presents the token; an empty token asks for none.

    >>> bears("Bearer abc", "abc"), bears("abc", "abc"), bears(None, "")
    (True, False, True)
    """
    if not token:
        return True
    presented = header or ""
    is_bearer = presented[: len(_SCHEME)].lower() == _SCHEME
    same = hmac.compare_digest(presented[len(_SCHEME) :].encode(), token.encode())
    return is_bearer and same
