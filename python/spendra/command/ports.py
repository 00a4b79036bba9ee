"""Loopback TCP ports."""

import socket
from typing import Final

from spendra.arguments import EX_UNAVAILABLE, CommandError

HOST: Final = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def choose(remembered: dict[str, int], name: str) -> int:
    """The port that `name` had before if it is free, else another; remembered for next time."""
    known = remembered.get(name)
    if known is None or not is_free(known):
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            remembered[name] = int(probe.getsockname()[1])
    return remembered[name]


def require(port: int, option: str) -> None:
    """CommandError, naming the port and its option, when somebody listens there."""
    if not is_free(port):
        sentence = f"port {port} is in use; choose another with {option}."
        raise CommandError(EX_UNAVAILABLE, sentence)
