"""The rows of the matrix."""

from tests.system.sdks import (
    anthropic_python,
    google_python,
    langchain_python,
    openai_python,
    others_python,
    typescript_node,
)

SDKS = (
    *openai_python.ROWS,
    *anthropic_python.ROWS,
    *google_python.ROWS,
    *others_python.ROWS,
    *langchain_python.ROWS,
    *typescript_node.ROWS,
)
