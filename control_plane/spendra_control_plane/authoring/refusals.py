"""Why an operator's request cannot be done; each becomes one problem answer."""


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault
    """`detail` is a sentence that says what to do."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail


def not_found(what: str, name: str) -> Refusal:
    return Refusal(404, "Not found", f"There is no {what} {name!r} in this organization.")


def conflict(detail: str) -> Refusal:
    return Refusal(409, "Conflict", detail)


def invalid(detail: str) -> Refusal:
    return Refusal(422, "Invalid request", detail)
