"""SQL lives in `.sql` files, each statement under a line `-- name: <name>`."""

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def statements(file_name: str) -> dict[str, str]:
    """The statements of `stores/sql/<file_name>.sql`, by name."""
    text = files(__package__).joinpath("sql", f"{file_name}.sql").read_text(encoding="utf-8")
    return read_statements(text)


def read_statements(text: str) -> dict[str, str]:
    """The statements of a file's text, by name."""
    _, *parts = _NAME.split(text)
    return {name: sql.strip() for name, sql in zip(parts[::2], parts[1::2], strict=True)}
