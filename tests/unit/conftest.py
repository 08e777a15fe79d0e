"""What the unit tests share: which of them stay together on one core."""

import pytest

_SUITES = ("quality/", "consolidate/test_judge", "ingest/test_finish", "ingest/test_news", "ingest/test_reference")
_KERNELS = ("consolidate/",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what loads Great Expectations, and what compiles, in one process each: either takes seconds once."""
    for item in items:
        place = item.nodeid.removeprefix("tests/unit/")
        if place.startswith(_SUITES):
            item.add_marker(pytest.mark.xdist_group("suites"))
        elif place.startswith(_KERNELS):
            item.add_marker(pytest.mark.xdist_group("kernels"))
