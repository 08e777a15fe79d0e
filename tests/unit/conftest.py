"""What holds for the unit tests alone: they lose no power, so they wait for no disk."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def _nothing_is_synced() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _descriptor: None)
        yield
