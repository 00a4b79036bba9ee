"""Domains whose people may join by signing in, once the domain's own DNS says whose it is."""

import os
from typing import Any, Final

import dns.asyncresolver
import dns.exception
import dns.resolver
from dns.rdtypes.txtbase import TXTBase

from spendra_control_plane.access import members
from spendra_control_plane.access.callers import Caller
from spendra_control_plane.authoring.refusals import refuse_conflict, refuse_missing
from spendra_control_plane.stores.postgres import Pool, Row
from spendra_control_plane.stores.sql import statements

SQL = statements("sign_in")
_TIMEOUT_S: Final = 5.0
Server = tuple[str, int]
"""Address and port of a DNS server."""


async def put(pool: Pool, caller: Caller, domain: str, joins_as: list[str]) -> dict[str, Any]:
    """`record` is what its DNS must hold before it counts. Raises Refusal."""
    members.check_may_touch(caller, joins_as)
    members.check_fit("person", joins_as, {})
    await pool.execute(SQL["put_domain"], caller.org_id, domain, joins_as, os.urandom(16).hex())
    return await get(pool, caller.org_id, domain)


async def get(pool: Pool, org_id: str, domain: str) -> dict[str, Any]:
    row = await pool.fetchrow(SQL["domain"], org_id, domain)
    if row is None:
        refuse_missing("domain", domain)
    return _view(row)


async def page(pool: Pool, org_id: str, after: str, limit: int) -> list[dict[str, Any]]:
    return [_view(row) for row in await pool.fetch(SQL["domains"], org_id, after, limit)]


async def verify(pool: Pool, org_id: str, domain: str, server: Server | None) -> dict[str, Any]:
    """Asks `server`, or the machine's own. Raises Refusal when the record is not there."""
    view = await get(pool, org_id, domain)
    record = view["record"]
    found = await _texts(record["name"], server)
    if record["value"] not in found:
        seen = ", ".join(sorted(found)) or "none"
        refuse_conflict(
            f"No TXT record {record['name']} says {record['value']!r} (found: {seen}); "
            "DNS may take an hour to show a new one."
        )
    await pool.execute(SQL["verify_domain"], org_id, domain)
    return await get(pool, org_id, domain)


async def remove(pool: Pool, org_id: str, domain: str) -> None:
    """Who has joined stays."""
    if await pool.fetchval(SQL["delete_domain"], org_id, domain) is None:
        refuse_missing("domain", domain)


async def _texts(name: str, server: Server | None) -> set[str]:
    resolver = dns.asyncresolver.Resolver(configure=server is None)
    if server is not None:
        resolver.nameservers, resolver.port = [server[0]], server[1]
    resolver.lifetime = _TIMEOUT_S
    try:
        answer = await resolver.resolve(name, "TXT")
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return set()
    except (dns.exception.DNSException, OSError) as error:
        refuse_conflict(f"The DNS does not answer for {name}: {type(error).__name__}.")
    return {
        b"".join(found.strings).decode("utf-8", "replace")
        for found in answer
        if isinstance(found, TXTBase)
    }


def _view(row: Row) -> dict[str, Any]:
    domain = row["domain"]
    value = f"spendra-verification={row['challenge']}"
    return {
        "domain": domain,
        "joins_as": row["joins_as"],
        "record": {"type": "TXT", "name": f"_spendra.{domain}", "value": value},
        "created_at": row["created_at"],
        "verified_at": row["verified_at"],
    }
