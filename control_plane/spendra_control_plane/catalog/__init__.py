"""The price catalog: what `PriceBook.load` reads, frozen from the genai-prices package.

NOTICE: prices, model names and matching rules come from genai-prices, copyright Pydantic
Services Inc. and contributors, MIT licence. Output limits are facts merged in beside them.
`python -m spendra_control_plane.catalog.freeze` makes `prices.json` again.
"""

from importlib.resources import files
from pathlib import Path

from spendra._hot import HotError, PriceBook


class CatalogError(ValueError):
    """A file that is no catalog; the message is one sentence."""


def default_catalog() -> bytes:
    """The one of this release."""
    return files(__name__).joinpath("prices.json").read_bytes()


def read_catalog(path: str) -> bytes:
    """The file's, checked; without a path, that of this release. Raises CatalogError."""
    if not path:
        return default_catalog()
    try:
        catalog = Path(path).read_bytes()
        models = len(PriceBook.load(catalog))
    except OSError as error:
        msg = f"SPENDRA_CATALOG {path!r} cannot be read: {error.strerror}."
        raise CatalogError(msg) from None
    except HotError as error:
        msg = f"SPENDRA_CATALOG {path!r} is no price catalog: {error}."
        raise CatalogError(msg) from None
    if not models:
        msg = f"SPENDRA_CATALOG {path!r} holds no models."
        raise CatalogError(msg)
    return catalog
