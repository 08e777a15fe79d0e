"""What several tests of this tier share: the S3 server is started once."""

from collections.abc import Iterator

import pytest

from tests.objectstore import ObjectStore, running_store


@pytest.fixture(scope="session")
def store() -> Iterator[ObjectStore]:
    with running_store() as store:
        yield store
