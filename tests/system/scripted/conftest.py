import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.conftest import launch, stop
from tests.system.scripted.product import Product
from tests.system.scripted.upstream import Upstream

MEGABYTE = 1 << 20
LIMITS = {
    "SPENDRA_MAX_BODY_BYTES": str(MEGABYTE),
    "SPENDRA_MAX_BUFFERED_BYTES": str(2 * MEGABYTE),
}


@pytest.fixture(scope="package")
def upstream() -> Iterator[Upstream]:
    found = Upstream()
    yield found
    found.close()


@pytest.fixture(scope="package")
def product(upstream: Upstream) -> Iterator[Product]:
    """One for all of these tests; each makes routes and a project of its own."""
    with tempfile.TemporaryDirectory(prefix="spendra-scripted-") as directory:
        system = launch(Path(directory), upstream.url, env=LIMITS)
        yield Product(system, upstream)
        assert stop(system) == 0
