from collections.abc import Iterator

import pytest

from tests.system.conftest import running
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
    with running(upstream.url, env=LIMITS) as system:
        yield Product(system, upstream)
