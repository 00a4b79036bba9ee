"""Why an operator's request cannot be done; each becomes one problem answer."""

from typing import NoReturn


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault
    """`detail` is a sentence that says what to do."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail


def refuse_missing(what: str, name: str) -> NoReturn:
    title = "Not found"
    raise Refusal(404, title, f"There is no {what} {name!r} in this organization.")


def refuse_conflict(detail: str) -> NoReturn:
    title = "Conflict"
    raise Refusal(409, title, detail)


def refuse_invalid(detail: str) -> NoReturn:
    title = "Invalid request"
    raise Refusal(422, title, detail)
