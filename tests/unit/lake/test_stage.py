"""Staged rows and their record appear together, and old stages go away."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bellwether.clock import SimulatedClock
from bellwether.lake import Lake
from bellwether.lake.stage import BatchRecord, Stage, ValidatedRecord, remove_old_stages
from tests.builders import SESSION, bars, complete, failed

NOW = datetime(2025, 7, 10, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path, simulated=True, clock=SimulatedClock(NOW, speed=0))


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


def test_a_stage_at_work_that_changes_meanwhile_is_left_alone(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(lake, "equities", SESSION, "s1")
    stage.write_batch(0, bars("SPY"), BatchRecord(coverage={}, api_calls=0, seconds=0, raw={}))
    os.utime(stage.folder, times=(0, 0))
    vanished = [stage.folder / ".b000.parquet.tmp"]
    monkeypatch.setattr(Path, "iterdir", lambda _: iter(vanished))
    remove_old_stages(lake, "equities", SESSION, timedelta(days=7))
    assert stage.read_batch(0) is not None


def test_stages_and_orphans_are_removed_once_old_and_not_before(lake: Lake) -> None:
    record = BatchRecord(coverage={}, api_calls=0, seconds=0, raw={})
    incoming = lake.paths.incoming("equities", SESSION, "dead")
    incoming.parent.mkdir(parents=True)
    for name, age in (("old", timedelta(days=8)), ("young", timedelta(days=6))):
        stage = Stage(lake, "equities", SESSION, name)
        written = stage.write_batch(0, bars("SPY"), record)
        orphan = incoming.with_name(f"equities-{SESSION}-{name}.parquet")
        orphan.touch()
        for path in (written, stage.folder, orphan):
            os.utime(path, times=((NOW - age).timestamp(),) * 2)
    remove_old_stages(lake, "equities", SESSION, timedelta(days=7))
    assert [path.name for path in lake.paths.stages("equities", SESSION).iterdir()] == ["young"]
    assert [path.name for path in incoming.parent.iterdir()] == [f"equities-{SESSION}-young.parquet"]
