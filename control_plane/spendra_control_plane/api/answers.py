"""What each operation answers, for the OpenAPI document: made of what tests were answered, which
hold every answer against it (`tests/answers.py`)."""

import json
from pathlib import Path
from typing import Any, Final

PATH: Final = Path(__file__).with_name("answers.json")
ANSWERS: Final[dict[str, dict[str, Any]]] = json.loads(PATH.read_text("utf-8"))
"""By method and path, such as `GET /v1/keys`: `schema` and `example` of its JSON."""
