"""Command lines: exit codes, and a parser that refuses a bad option in one sentence."""

import argparse
from typing import NoReturn

EX_USAGE = 64
"""The command line or the environment is wrong."""
EX_UNAVAILABLE = 69
"""Something that is needed is not there: a port, a store, a child that would not start."""


class CommandError(Exception):
    """Ends the command with `code`; the message is one sentence for the person who typed it."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CommandError(EX_USAGE, f"{message}.")


def port_number(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= port <= 65535:  # noqa: PLR2004 (the ports that TCP has)
        msg = f"{text!r} is not a port (1 to 65535)"
        raise argparse.ArgumentTypeError(msg)
    return port


def count(text: str) -> int:
    """A whole number, zero or more."""
    if not (text.isascii() and text.isdigit()):
        msg = f"{text!r} is not a whole number"
        raise argparse.ArgumentTypeError(msg)
    return int(text)
