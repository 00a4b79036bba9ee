"""The address of the live balances: one server, or several nodes of a Cluster by commas.

`redis://:password@node-1:6379,node-2:6379,node-3:6379`
"""

from urllib.parse import urlsplit


def nodes(url: str) -> list[str]:
    """A URL of each node, with the login and options of the whole."""
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    return [parts._replace(netloc=login + at + host).geturl() for host in hosts.split(",")]


def at(url: str, host: str, port: int) -> str:
    """The URL of another node, with the login and options of this one."""
    parts = urlsplit(url)
    login, at_sign, _ = parts.netloc.rpartition("@")
    shown = f"[{host}]" if ":" in host else host
    return parts._replace(netloc=f"{login}{at_sign}{shown}:{port}").geturl()
