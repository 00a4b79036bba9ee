"""The default price catalog: a `prices` segment frozen from the genai-prices package.

NOTICE: prices, model names and matching rules come from genai-prices, copyright Pydantic
Services Inc. and contributors, MIT licence. Output limits are facts merged in beside them.
`python -m spendra_control_plane.catalog.freeze` makes `prices.json` again.
"""

from importlib.resources import files


def default_prices() -> bytes:
    """The frozen `prices` segment, as the sidecar's `PriceBook.load` reads it."""
    return files(__name__).joinpath("prices.json").read_bytes()
