"""The lake: kind, writing on condition, room."""

import errno
from pathlib import Path

import pytest

from bellwether.config import SinkSettings
from bellwether.doctor import lake as doctor
from bellwether.doctor.finding import Level
from bellwether.lake import Lake
from bellwether.lake.layout import FileLayout
from bellwether.lake.location import Location
from bellwether.lake.publish import publish
from tests.bucket import ROOT, Bucket
from tests.builders import SESSION, bars, submission


@pytest.mark.parametrize(
    ("kept", "coming", "level", "words"),
    [
        (None, False, Level.OK, "none at"),
        (True, True, Level.OK, "simulated data"),
        (False, False, Level.OK, "production data"),
        (True, None, Level.OK, "simulated data"),
        (True, False, Level.PROBLEM, "brings production data"),
        (False, True, Level.PROBLEM, "brings simulated data"),
    ],
)
def test_the_lakes_kind_must_be_the_vendors(
    tmp_path: Path, kept: bool | None, coming: bool | None, level: Level, words: str
) -> None:
    if kept is not None:
        Lake.open(tmp_path, simulated=kept)
    [kind, write], facts = doctor.examine(Location(str(tmp_path)), simulated=coming)
    assert (kind.check, kind.level) == ("lake", level)
    assert words in kind.says
    assert write.level is Level.OK
    assert (facts.lake is None) == (kept is None)
    assert facts.free_bytes
    assert not [path for path in tmp_path.rglob("*probe*") if path.is_file()]


def test_a_place_that_is_none_is_a_problem() -> None:
    [finding], facts = doctor.examine(Location("ftp://somewhere"), simulated=None)
    assert finding.level is Level.PROBLEM
    assert facts == doctor.LakeFacts()


def test_a_bucket_is_tried_and_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket()
    bucket.install(monkeypatch)
    [_, write], facts = doctor.examine(Location(ROOT), simulated=False)
    assert write.level is Level.OK
    assert bucket.keys() == []
    assert doctor.judge_room(facts.free_bytes, 1e9).level is Level.UNKNOWN


def test_a_disk_that_refuses_is_a_problem_in_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Lake.open(tmp_path, simulated=True)

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("os.replace", refuse)
    [_, write], facts = doctor.examine(Location(str(tmp_path)), simulated=True)
    assert write.level is Level.PROBLEM
    assert "mounted read-only: mount it for writing" in write.says
    assert facts.lake is not None


@pytest.mark.parametrize("ignored", ["IfMatch", "IfNoneMatch"])
def test_a_store_that_ignores_conditions_is_a_problem(monkeypatch: pytest.MonkeyPatch, ignored: str) -> None:
    bucket = Bucket()
    bucket.ignores.add(ignored)
    bucket.install(monkeypatch)
    [_, write], _ = doctor.examine(Location(ROOT), simulated=False)
    assert write.level is Level.PROBLEM
    assert "whatever their condition" in write.says


@pytest.mark.parametrize(
    ("free", "level"),
    [(2e9, Level.OK), (5e8, Level.PROBLEM), (None, Level.UNKNOWN)],
    ids=["fits", "too little", "bucket"],
)
def test_the_backfill_must_fit(free: int | None, level: Level) -> None:
    assert doctor.judge_room(free, 1e9).level is level


def test_bytes_are_measured_in_the_lake_where_it_holds_sessions(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path, simulated=True)
    assert doctor.bytes_per_ticker_session(lake, "equities") is None
    publish(lake, submission(bars("SPY"), bars("QQQ")), FileLayout(SinkSettings(), "snappy"))
    file = tmp_path / f"clean/equities/session={SESSION}/equities.parquet"
    assert doctor.bytes_per_ticker_session(lake, "equities") == file.stat().st_size / 2


@pytest.mark.parametrize(("count", "words"), [(999, "999 B"), (30_200, "30.2 KB"), (1.5e9, "1.5 GB"), (2e12, "2 TB")])
def test_sizes_are_for_people(count: float, words: str) -> None:
    assert doctor.human_bytes(count) == words
