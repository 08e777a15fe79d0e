"""Staged rows and their record appear together, and old stages go away."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bellwether.clock import SimulatedClock
from bellwether.lake import Lake, paths
from bellwether.lake.stage import BatchRecord, Stage, ValidatedRecord, remove_old_stages
from tests.builders import SESSION, bars, complete, failed

NOW = datetime(2025, 7, 10, tzinfo=UTC)


@pytest.fixture
def lake(root: str) -> Lake:
    return Lake.open(root, simulated=True, clock=SimulatedClock(NOW, speed=0))


def test_a_batch_reads_back_with_its_record_and_can_be_replaced(lake: Lake) -> None:
    stage = Stage(lake, "equities", SESSION, "s1")
    assert stage.read_batch(0) is None
    record = BatchRecord(coverage=complete(bars("SPY")) | failed(["AAPL"]), api_calls=2, seconds=0.5, raw={"a": "b"})
    stage.write_batch(0, bars("SPY"), record)
    assert stage.read_batch(0) == (bars("SPY"), record)
    assert record.failed == ["AAPL"]
    stage.write_batch(0, bars("SPY", seed=1), record)
    assert stage.read_batch(0)[0].equals(bars("SPY", seed=1))


def test_what_validation_let_through_reads_back(lake: Lake) -> None:
    stage = Stage(lake, "equities", SESSION, "s1")
    record = ValidatedRecord(coverage=complete(bars("SPY")), api_calls=1, raw={}, timings_s={"fetch_s": 1.0})
    stage.write_validated(bars("SPY"), record)
    assert stage.read_validated() == (bars("SPY"), record)
    stage.remove()
    assert stage.read_validated() is None


def test_stages_are_removed_once_nothing_was_added_for_long_and_not_before(
    lake: Lake, request: pytest.FixtureRequest
) -> None:
    record = BatchRecord(coverage={}, api_calls=0, seconds=0, raw={})
    ages = {"old": (8, 9), "young": (6, 6), "at work": (30, 1)}
    for name, days in ages.items():
        stage = Stage(lake, "equities", SESSION, name)
        for index, age in enumerate(days):
            stage.write_batch(index, bars("SPY"), record)
            written(lake, stage, index, NOW - timedelta(days=age), request)
    remove_old_stages(lake, "equities", SESSION, timedelta(days=7))
    left = {entry.key.parent.name for entry in lake.storage.list(paths.stages("equities", SESSION))}
    assert left == {"young", "at work"}


def written(lake: Lake, stage: Stage, index: int, moment: datetime, request: pytest.FixtureRequest) -> None:
    """Have a staged batch be as old as if it was written at a moment."""
    key = stage.folder / f"b{index:03d}.parquet"
    if lake.root.startswith("s3://"):
        objects = request.getfixturevalue("bucket").objects
        content, _ = objects[f"some/lake/{key}"]
        objects[f"some/lake/{key}"] = (content, moment)
    else:
        os.utime(Path(lake.root, key), times=(moment.timestamp(),) * 2)
