"""Stores that run elsewhere: are they there?"""

from urllib.parse import urlsplit

import asyncpg

from spendra.arguments import EX_UNAVAILABLE, CommandError
from spendra.command.stores.valkey import answers
from spendra.redis_urls import nodes


async def require(database_url: str, redis_url: str) -> None:
    """CommandError, naming the variable and the address, for one that does not answer."""
    if not await _postgres_answers(database_url):
        raise CommandError(EX_UNAVAILABLE, _silent("SPENDRA_DATABASE_URL", database_url))
    if not any([await answers(node) for node in nodes(redis_url)]):
        raise CommandError(EX_UNAVAILABLE, _silent("SPENDRA_REDIS_URL", redis_url))


async def _postgres_answers(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=5)
        await connection.close()
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    return True


def _silent(variable: str, url: str) -> str:
    # The address without the user and password that the URL may hold.
    address = urlsplit(url).netloc.rpartition("@")[2]
    return f"nothing answers at {address}, which {variable} names."
